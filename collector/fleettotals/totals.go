package fleettotals

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/fleet-telemetry/collector/internal/budget"
	"github.com/fleet-telemetry/collector/internal/ledger"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// What senders are told; both are temporary, so that they keep and repeat. The reason is in the log: a sender is no operator.
var (
	errNotStored = errors.New("totals cannot be stored now: send the same export again")
	errShutdown  = errors.New("the collector is shutting down: send the same export again")
)

// totals is the processor. A request is decoded without the lock, taken into the open group under it, and answered when that group is
// durable.
type totals struct {
	config *Config
	id     component.ID
	log    *zap.Logger
	next   consumer.Metrics
	own    *instruments
	clock  clock

	ledger *ledger.Ledger // whoever commits has it
	client storage.Client
	store  store

	mu       sync.Mutex
	metrics  map[string]*metric
	byMetric slots[*metric]
	bySeries slots[*series]
	claims   pagename.Claims
	budget   *budget.Budget
	values   valueSet
	senders  *table[runs]
	streams  *table[*reading]
	horizon  int64 // streams that started before it may have been forgotten
	open     *group
	closing  *group // being committed
	spare    *group
	closed   bool
	fullTill int64 // no new series before that: the storage has no room
	dirty    []*series
	linked   linked
	tally    tally

	lastEmit   int64 // unix nanoseconds
	handedOver bool  // the next consumer knows that it has all that was restored
	done       sync.WaitGroup
	stop       chan struct{}
}

func newTotals(config *Config, set processor.Settings, next consumer.Metrics) (*totals, error) {
	t := &totals{
		config: config, id: set.ID, log: set.Logger, next: next, clock: newClock(time.Now), store: newStore(config, set.ID), stop: make(chan struct{}),
	}
	t.clear()
	var err error
	t.own, err = newInstruments(set.TelemetrySettings, t)
	return t, err
}

// clear makes it know nothing.
func (t *totals) clear() {
	known := make([]string, 0, len(t.config.KnownMetrics))
	t.claims = pagename.Claims{}
	for name, k := range t.config.KnownMetrics {
		known = append(known, name)
		t.claims.Take(name, k.kind())
	}
	t.ledger = ledger.New(t)
	t.metrics, t.byMetric, t.bySeries = map[string]*metric{}, slots[*metric]{}, slots[*series]{}
	t.budget, t.values = budget.New(t.config.Budget, known), valueSet{}
	t.senders, t.streams = newTable[runs](t.config.MaxSenders), newTable[*reading](t.config.MaxStreams)
	t.horizon, t.open, t.spare, t.tally, t.dirty = 0, newGroup(), newGroup(), tally{}, nil
	t.linked = linked{most: t.config.MaxExemplars}
}

// Capabilities: a request is only read.
func (*totals) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// Start restores what the storage has and hands it on, before any receiver starts.
func (t *totals) Start(ctx context.Context, host component.Host) error {
	begun := time.Now()
	if err := t.openStore(ctx, host); err != nil {
		return err
	}
	read := time.Since(begun)
	t.emit(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.store.restoreSeconds = time.Since(begun).Seconds()
	t.log.Info("totals restored", zap.Int("series", t.seriesCount()), zap.Int("senders", len(t.senders.entries)),
		zap.Int("streams", len(t.streams.entries)), zap.Duration("read", read), zap.Duration("handed_on", time.Since(begun)))
	t.done.Go(t.emitLoop)
	return nil
}

// Shutdown answers what is under way and hands on the rest.
func (t *totals) Shutdown(ctx context.Context) error {
	if t.client == nil {
		return nil
	}
	t.mu.Lock()
	wasClosed, waiting := t.closed, []*ticket{}
	t.closed = true
	for _, g := range []*group{t.open, t.closing} {
		if g != nil && !g.isEmpty() {
			waiting = append(waiting, g.ticket)
		}
	}
	t.mu.Unlock()
	if wasClosed {
		return nil
	}
	for _, ticket := range waiting {
		<-ticket.done
	}
	close(t.stop)
	t.done.Wait()
	return t.client.Close(ctx)
}

// ConsumeMetrics answers when all of the request is durable. It waits for that even if the sender has gone: the commit is under way.
func (t *totals) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	e := decode(t.config, md, t.clock.wall())
	defer e.release()
	t.mu.Lock()
	wait, err := t.take(e)
	lead := wait != nil && wait == t.open.ticket && t.closing == nil
	if lead {
		t.seal()
	}
	t.mu.Unlock()
	if err != nil || wait == nil {
		return err
	}
	if lead {
		t.commit()
	}
	select {
	case <-wait.done:
	case <-wait.lead:
		t.commit()
		<-wait.done
	}
	return wait.err
}

func (t *totals) seriesCount() (n int) {
	for _, m := range t.metrics {
		n += len(m.series)
	}
	return n
}
