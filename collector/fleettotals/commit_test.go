package fleettotals

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/fleet-telemetry/collector/internal/storagetest"
)

// together sends requests so that the first one's commit is under way when the others come.
func together(t *testing.T, m *storagetest.Memory, p *totals, first request, others ...request) (answers []error) {
	t.Helper()
	reached, goOn := make(chan struct{}), make(chan struct{})
	m.Before = func([]*storage.Operation) error {
		reached <- struct{}{}
		<-goOn
		return nil
	}
	answers = make([]error, 1+len(others))
	var all sync.WaitGroup
	all.Go(func() { answers[0] = p.ConsumeMetrics(context.Background(), first.md) })
	<-reached
	for i, r := range others {
		all.Go(func() { answers[i+1] = p.ConsumeMetrics(context.Background(), r.md) })
	}
	await(t, func() bool { return p.openExports() == int64(len(others)) })
	m.Before = nil
	close(goOn)
	all.Wait()
	return answers
}

func await(t *testing.T, wanted func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !wanted(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come true")
		}
	}
}

func (t *totals) openExports() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open.tally.exports
}

// Exports that come during a commit share the next one.
func TestExportsShareACommit(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage())
	commits := 0
	m.After = func() error { commits++; return nil }
	var others []request
	for n := range 20 {
		others = append(others, newRequest().from(fmt.Sprint(n), 1).count("c", 1))
	}
	together(t, m, p, newRequest().count("c", 1), others...)
	expect(t, p, "c{environment=dev} 21")
	if commits != 2 {
		t.Error(commits, "commits")
	}
}

// A repetition that comes while the first one's commit is under way is answered when that is through, and as it is.
func TestRepetitionWaitsForTheCommit(t *testing.T) {
	for _, refusal := range []error{nil, errors.New("no room")} {
		m := memory()
		p := begin(t, m, newPage())
		reached, goOn := make(chan struct{}), make(chan struct{})
		m.Before = func([]*storage.Operation) error {
			reached <- struct{}{}
			<-goOn
			return refusal
		}
		answers := make(chan error, 2)
		send := func() {
			answers <- p.ConsumeMetrics(context.Background(), newRequest().from("a", 1).count("c", 1).md)
		}
		go send()
		<-reached
		go send()
		await(t, func() bool { return p.duplicates() > 0 })
		select {
		case err := <-answers:
			t.Fatal("answered before the commit", err)
		default:
		}
		m.Before = nil
		close(goOn)
		for range 2 {
			if err := <-answers; (err == nil) != (refusal == nil) {
				t.Error(refusal, "was answered with", err)
			}
		}
	}
}

func (t *totals) duplicates() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tally.duplicates
}

// A failed commit refuses its exports and those that build on it; nothing of them is left, and the same exports count when they come again.
func TestFailedCommitLeavesNothing(t *testing.T) {
	m, shown := memory(), newPage()
	p := begin(t, m, shown)
	newRequest().from("old", 1).count("c", 1, "k", "old").observe("h", []float64{1}, 1, 0).send(t, p)
	before := sums(p)
	reached, goOn := make(chan struct{}), make(chan struct{})
	m.Before = func([]*storage.Operation) error {
		reached <- struct{}{}
		<-goOn
		return errors.New("open /a/path: no space left on device")
	}
	requests := []request{
		newRequest().from("a", 1).count("c", 1, "k", "new").count("c", 1, "k", "old").count("fresh", 1),
		newRequest().from("b", 1).count("c", 1, "k", "new").observe("h", []float64{1, 2}, 1, 1, 1),
		newRequest().from("old", 2).count("c", 1, "k", "old"),
	}
	answers := make(chan error, len(requests))
	send := func(r request) { answers <- p.ConsumeMetrics(context.Background(), r.md) }
	go send(requests[0])
	<-reached
	go send(requests[1])
	go send(requests[2])
	await(t, func() bool { return p.openExports() == 2 })
	m.Before = nil
	close(goOn)
	for range requests {
		if err := <-answers; !errors.Is(err, errNotStored) {
			t.Error("answered with", err)
		}
	}
	expect(t, p, before)
	if len(p.senders.entries) != 1 || len(p.metrics) != 2 || p.budget.Account("c").Used != 2 {
		t.Error("something of the refused exports is left", len(p.senders.entries), len(p.metrics), p.budget.Account("c").Used)
	}
	for range 2 {
		for _, r := range requests {
			r.send(t, p)
		}
	}
	want := "c{environment=dev,k=new} 2; c{environment=dev,k=old} 3; fresh{environment=dev} 1; h{environment=dev} [1 2] [2 1 1] 2"
	expect(t, p, want)
	expect(t, begin(t, m.Copy(), newPage()), want)
	end(t, p)
	if len(shown.fell) > 0 {
		t.Error(shown.fell)
	}
}

// While the storage is full, exports of known series go on and others are refused; with room again, all goes on by itself.
func TestFullStorage(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage())
	newRequest().from("a", 1).count("c", 1, "k", "known").send(t, p)
	limit := m.Size()
	m.Before = func(ops []*storage.Operation) error {
		after := m.Copy()
		_ = after.Batch(context.Background(), ops...)
		if after.Size() > limit+2_000 && after.Size() > m.Size() {
			return storage.ErrStorageFull
		}
		return nil
	}
	refused, sequence := 0, int64(1)
	for n := range 200 {
		if err := p.ConsumeMetrics(context.Background(), newRequest().count("c", 1, "k", fmt.Sprint(n)).md); err != nil {
			refused++
		}
		sequence++
		newRequest().from("a", sequence).count("c", 1, "k", "known").send(t, p)
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	m.Before, p.fullTill = nil, 0
	newRequest().count("c", 1, "k", "later").send(t, p)
	again := begin(t, m.Copy(), newPage())
	if sums(again) != sums(p) {
		t.Error("the store has something else")
	}
	if got := fmt.Sprint(p.metrics["c"].series["\x0benvironment\x03dev\x01k\x05known"].sum); got != "201" {
		t.Error("known series:", got)
	}
}

// Commits fail at random, answers are doubted at random, the same export is in flight twice: each counts once.
func TestEachExportCountsOnce(t *testing.T) {
	var mu sync.Mutex
	r := rand.New(rand.NewSource(1))
	chance := func(share float64) bool {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64() < share
	}
	m, shown := memory(), newPage()
	p := begin(t, m, shown, func(c *Config) { c.MaxSenders = 64 })
	m.Before = func([]*storage.Operation) error {
		if chance(0.2) {
			return errors.New("refused")
		}
		return nil
	}
	const senders, each = 16, 200
	var all sync.WaitGroup
	for k := range senders {
		all.Go(func() {
			for sequence := int64(1); sequence <= each; sequence++ {
				send := func() error {
					r := newRequest().from(fmt.Sprint(k), sequence).count("c", 1, "k", fmt.Sprint(sequence%7+int64(k%3)))
					return p.ConsumeMetrics(context.Background(), r.md)
				}
				for {
					var twin sync.WaitGroup
					if chance(0.3) {
						twin.Go(func() { _ = send() })
					}
					err := send()
					twin.Wait()
					if err == nil && !chance(0.1) {
						break
					}
				}
			}
		})
	}
	all.Wait()
	if got := sumOf(p, "c"); got != senders*each {
		t.Error(got, "counted of", senders*each)
	}
	if got := sumOf(begin(t, m.Copy(), newPage()), "c"); got != senders*each {
		t.Error(got, "stored of", senders*each)
	}
	m.Before = nil
	end(t, p)
	if len(shown.fell) > 0 || p.tally.missing > 0 || p.tally.conflicts > 0 {
		t.Error(shown.fell, p.tally)
	}
}
