package fleettotals

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/fleet-telemetry/collector/internal/storagetest"
)

// modelSender keeps the contract: it repeats an export until it is answered.
type modelSender struct {
	name     string
	sequence int64
	pending  *request
	adds     map[string]float64 // what the pending export adds, by series
	start    int64              // of a cumulative one
	value    float64
	at       int64
}

// world is senders, a storage, the processor on it, and what happened.
type world struct {
	t       *testing.T
	r       *rand.Rand
	storage *storagetest.Memory
	totals  *totals
	shown   *page
	senders []*modelSender
	truth   map[string]float64
	born    int64
}

// Whatever fails, is lost or killed: in the end each export counts once, and no shown value ever fell.
func TestModel(t *testing.T) {
	for seed := range int64(30) {
		w := &world{t: t, r: rand.New(rand.NewSource(seed)), storage: memory(), shown: newPage(), truth: map[string]float64{}}
		w.totals = begin(t, w.storage, w.shown, w.limits)
		w.born = w.totals.ledger.Identity().Birth
		for n := range 6 {
			w.senders = append(w.senders, &modelSender{name: fmt.Sprint("s", n), start: w.born + int64(n+1)})
		}
		for range 400 {
			w.step()
		}
		w.storage.Before, w.storage.After = nil, nil
		for _, s := range w.senders {
			w.deliver(s)
		}
		w.check(seed)
	}
}

func (w *world) limits(c *Config) {
	c.KnownMetrics = map[string]KnownMetric{"c": {}, "h": {Bounds: []float64{1}}, "cumulative": {}}
	c.Budget.SeriesPerMetric = 4
	c.MaxSenders = 50
}

func (w *world) step() {
	s := w.senders[w.r.Intn(len(w.senders))]
	refused, killed := errors.New("refused"), error(nil)
	var left *storagetest.Memory
	w.storage.Before, w.storage.After = nil, nil
	switch w.r.Intn(10) {
	case 0:
		w.storage.Before = func([]*storage.Operation) error { return refused }
	case 1: // killed before the commit
		w.storage.Before = func([]*storage.Operation) error { left = w.storage.Copy(); return refused }
	case 2: // killed after it
		w.storage.After = func() error { left = w.storage.Copy(); return killed }
	case 3: // a storage that says that it failed and has it, and is killed then
		w.storage.After = func() error { left = w.storage.Copy(); return refused }
	case 4: // killed between two exports
		left = w.storage.Copy()
		w.restart(left)
		return
	case 5: // handed on
		w.totals.emit(context.Background())
	}
	answer := w.send(s)
	if left != nil {
		w.restart(left)
		return
	}
	if answer == nil && w.r.Intn(5) > 0 { // else the answer is lost
		w.acknowledge(s)
	}
}

func (w *world) restart(left *storagetest.Memory) {
	w.storage, w.shown.complete = left, false
	w.totals = begin(w.t, left, w.shown, w.limits)
	if !w.shown.complete {
		w.t.Fatal("nobody was told that everything was handed on")
	}
}

func (w *world) send(s *modelSender) error {
	if s.pending == nil {
		w.prepare(s)
	}
	return w.totals.ConsumeMetrics(context.Background(), s.pending.md)
}

func (w *world) prepare(s *modelSender) {
	s.sequence++
	s.adds = map[string]float64{}
	r := newRequest().from(s.name, s.sequence)
	for range 1 + w.r.Intn(5) {
		k := fmt.Sprint(w.r.Intn(8))
		r.count("c", float64(w.r.Intn(3)), "k", k)
		s.adds["c"] += r.rm.ScopeMetrics().At(r.rm.ScopeMetrics().Len() - 1).Metrics().At(0).Sum().DataPoints().At(0).DoubleValue()
	}
	r.observe("h", []float64{1, float64(2 + w.r.Intn(2))}, 1, 1, 0)
	s.adds["h"] += 2
	if s.name == "s0" {
		s.value += float64(w.r.Intn(3))
		s.at++
		foreign := cumulative(s.start, w.born+10+s.at, s.value)
		foreign.rm.ScopeMetrics().At(0).Metrics().At(0).SetName("cumulative")
		foreign.rm.CopyTo(r.md.ResourceMetrics().AppendEmpty())
	}
	s.pending = &r
}

func (w *world) acknowledge(s *modelSender) {
	for metric, value := range s.adds {
		w.truth[metric] += value
	}
	s.pending, s.adds = nil, nil
}

// deliver repeats the pending export until it is answered, as a sender does.
func (w *world) deliver(s *modelSender) {
	if s.pending != nil {
		if err := w.send(s); err != nil {
			w.t.Fatal(err)
		}
		w.acknowledge(s)
	}
}

func (w *world) check(seed int64) {
	w.truth["cumulative"] = w.senders[0].value
	if w.senders[0].sequence == 0 {
		delete(w.truth, "cumulative")
	}
	again := begin(w.t, w.storage.Copy(), w.shown, w.limits)
	for _, p := range []*totals{w.totals, again} {
		for metric, want := range w.truth {
			got := sumOf(p, metric)
			if metric == "h" {
				got = countOf(p, metric)
			}
			if got != want {
				w.t.Errorf("seed %d: %s is %v, not %v", seed, metric, got, want)
			}
		}
	}
	if len(w.shown.fell) > 0 || again.tally.missing > 0 {
		w.t.Errorf("seed %d: values fell: %v", seed, w.shown.fell)
	}
}

func countOf(p *totals, metric string) (count float64) {
	for _, s := range p.metrics[metric].series {
		for _, n := range s.counts {
			count += float64(n)
		}
	}
	return count
}
