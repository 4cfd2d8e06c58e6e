package fleettotals

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fleet-telemetry/collector/internal/ledger"
)

// fullPause is how long no new series are taken after the storage had no room for some: those that are known go on meanwhile.
const fullPause = time.Second

// seal closes the open group, so that it can be committed, and opens the next.
func (t *totals) seal() {
	g := t.open
	t.open, t.closing, t.spare = t.spare, g, nil
	for i := range g.changes {
		s := g.changes[i].series
		s.closing, s.open = s.open, 0
	}
	freeze(g.senders)
	freeze(g.streams)
	now := t.clock.steady()
	oldest := now - int64(t.config.MaxAge)
	g.goneSenders = t.senders.evict(oldest)
	for _, sender := range g.goneSenders {
		if sender.seen >= oldest {
			g.tally.pushOut(now - sender.seen)
		}
	}
	g.goneStreams = t.streams.evict(oldest)
	for _, stream := range g.goneStreams {
		t.horizon = max(t.horizon, min(stream.stored.start, t.clock.wall()))
	}
	g.horizon = t.horizon
}

// commit makes the sealed group durable and answers its requests. If another group has filled meanwhile, one of its requests commits
// that: nobody waits for more than his own commit and the one before.
func (t *totals) commit() {
	g := t.closing
	t.encode(g)
	begun := time.Now()
	err := t.ledger.Commit(context.Background(), &g.transaction)
	if err == nil {
		t.own.committed(time.Since(begun), g.tally.exports)
	} else {
		t.log.Error("totals cannot be stored; senders keep and repeat theirs", zap.Error(err))
	}
	ticket := g.ticket
	t.mu.Lock()
	if err != nil {
		t.refuse(err)
		ticket.err = errNotStored
	} else {
		t.publish(g)
	}
	t.closing, t.spare = nil, g.emptied()
	if !t.open.isEmpty() {
		t.seal()
		t.closing.ticket.lead <- struct{}{}
	}
	t.mu.Unlock()
	close(ticket.done)
}

// encode writes the group's records: what each thing that it changes is with it.
func (t *totals) encode(g *group) {
	w := &g.transaction
	w.Grows = len(g.fresh) > 0
	for _, m := range g.metrics {
		w.End(appendMetric(w.Create(tableMetrics, m.slot), m))
	}
	for i := range g.changes {
		g.encodeChange(&g.changes[i])
	}
	for _, s := range g.senders {
		w.End(appendSender(beginRecord(w, s.entry.durable, tableSenders, s.entry.slot), s.entry.key, s.sighting, s.value))
	}
	for _, s := range g.streams {
		w.End(appendStream(beginRecord(w, s.entry.durable, tableStreams, s.entry.slot), s.entry.key, s.sighting, s.value))
	}
	for _, e := range g.goneSenders {
		w.Free(tableSenders, e.slot)
	}
	for _, e := range g.goneStreams {
		w.Free(tableStreams, e.slot)
	}
	if len(g.goneStreams) > 0 {
		w.End(appendHorizon(w.Create(tableHorizon, 0), g.horizon))
	}
}

func (g *group) encodeChange(c *change) {
	s, w := c.series, &g.transaction
	if !s.durable || len(c.bounds) != len(s.bounds) {
		w.End(appendDefinition(beginRecord(w, s.durable, tableDefinitions, s.slot), s, c.bounds))
	}
	c.after = s.sum + c.sum
	counts := g.countsOf(c)
	rebucket(counts, c.bounds, s.counts, s.bounds)
	w.End(appendValue(beginRecord(w, s.durable, tableValues, s.slot), c.after, counts))
}

// beginRecord begins the record of something that the store has or has not.
func beginRecord(w *ledger.Transaction, durable bool, table byte, slot uint32) []byte {
	if durable {
		return w.Begin(table, slot)
	}
	return w.Create(table, slot)
}

// publish makes what is durable what is shown.
func (t *totals) publish(g *group) {
	for _, m := range g.metrics {
		m.durable = true
	}
	for i := range g.changes {
		c := &g.changes[i]
		s := c.series
		s.sum, s.total, s.durable, s.closing = c.after, s.total+c.total, true, 0
		if len(c.bounds) != len(s.bounds) {
			s.bounds, s.counts = c.bounds, slices.Clone(g.countsOf(c))
		} else {
			copy(s.counts, g.countsOf(c))
		}
		if !s.dirty {
			s.dirty = true
			t.dirty = append(t.dirty, s)
		}
	}
	t.senders.publish(g.senders, g)
	t.streams.publish(g.streams, g)
	t.senders.release(g.goneSenders)
	t.streams.release(g.goneStreams)
	t.tally.add(&g.tally)
}

// refuse undoes the group whose commit failed, and the open one, which builds on it: all of both is sent again.
func (t *totals) refuse(err error) {
	if ledger.IsFull(err) && len(t.closing.fresh) > 0 {
		t.fullTill = t.clock.steady() + int64(fullPause)
	}
	t.tally.failed++
	t.rollBack(t.open)
	t.rollBack(t.closing)
	if !t.open.isEmpty() {
		t.open.ticket.err = errNotStored
		close(t.open.ticket.done)
	}
	t.open = t.open.emptied()
}

func (t *totals) rollBack(g *group) {
	for i := range g.changes {
		g.changes[i].series.open, g.changes[i].series.closing = 0, 0
	}
	for _, s := range g.fresh {
		delete(s.metric.series, string(s.set))
		t.budget.Return(s.metric.account)
		t.bySeries.release(s.slot)
	}
	for _, m := range g.metrics {
		delete(t.metrics, m.name)
		t.byMetric.release(m.slot)
		t.budget.ReturnName(m.name)
		if !t.budget.IsKnown(m.name) {
			t.claims.Release(m.name, m.kind)
		}
	}
	t.senders.rollBack(g.senders)
	t.streams.rollBack(g.streams)
	t.senders.putBack(g.goneSenders)
	t.streams.putBack(g.goneStreams)
}
