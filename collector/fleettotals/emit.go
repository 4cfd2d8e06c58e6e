package fleettotals

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/fleet-telemetry/collector/internal/handover"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

const (
	// emitAtOnce is the series of one request to the next consumer; the lock is taken for lockedSeries of them at a time.
	emitAtOnce   = 5_000
	lockedSeries = 200
)

// emitLoop hands on what has changed, in order: it alone does.
func (t *totals) emitLoop() {
	tick := time.NewTicker(t.config.EmitInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.emit(context.Background())
		case <-t.stop:
			t.emit(context.Background())
			return
		}
	}
}

// emit hands on what has changed; after a start, that is everything, and the next consumer is told so once it has all.
func (t *totals) emit(ctx context.Context) {
	if !t.emitChanged(ctx) || t.handedOver {
		return
	}
	err := t.next.ConsumeMetrics(ctx, handover.Complete())
	t.handedOver = err == nil
	if err != nil {
		t.log.Error("the end of the restored totals cannot be handed on; it will be again", zap.Error(err))
	}
}

// emitChanged tells whether all of it was taken.
func (t *totals) emitChanged(ctx context.Context) bool {
	t.mu.Lock()
	changed := t.dirty
	t.dirty = make([]*series, 0, min(len(changed), emitAtOnce))
	t.mu.Unlock()
	// Never back, whatever is done to the clock.
	t.lastEmit = max(t.clock.wall(), t.lastEmit+1)
	all := true
	for len(changed) > 0 {
		n := min(emitAtOnce, len(changed))
		if err := t.next.ConsumeMetrics(ctx, t.render(changed[:n])); err != nil {
			t.log.Error("totals cannot be handed on; they will be again", zap.Error(err))
			t.markDirty(changed[:n])
			all = false
		}
		changed = changed[n:]
	}
	return all
}

func (t *totals) markDirty(all []*series) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range all {
		if !s.dirty {
			s.dirty = true
			t.dirty = append(t.dirty, s)
		}
	}
}

// render makes a request of the series as they are now.
func (t *totals) render(all []*series) pmetric.Metrics {
	md := pmetric.NewMetrics()
	r := renderer{
		metrics: md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics(),
		known:   map[*metric]pmetric.Metric{}, at: pcommon.Timestamp(t.lastEmit),
	}
	for len(all) > 0 {
		n := min(lockedSeries, len(all))
		t.mu.Lock()
		for _, s := range all[:n] {
			s.dirty = false
			r.add(s)
		}
		t.mu.Unlock()
		all = all[n:]
	}
	return md
}

type renderer struct {
	metrics pmetric.MetricSlice
	known   map[*metric]pmetric.Metric
	at      pcommon.Timestamp
}

func (r *renderer) add(s *series) {
	m, ok := r.known[s.metric]
	if !ok {
		m = r.begin(s.metric)
		r.known[s.metric] = m
	}
	if s.metric.kind == pagename.Histogram {
		dp := m.Histogram().DataPoints().AppendEmpty()
		dp.SetStartTimestamp(pcommon.Timestamp(s.start))
		dp.SetTimestamp(r.at)
		dp.ExplicitBounds().FromRaw(s.bounds)
		dp.BucketCounts().FromRaw(s.counts)
		dp.SetCount(s.total)
		dp.SetSum(s.sum)
		s.links.Put(dp.Exemplars())
		putLabels(dp.Attributes(), s)
		return
	}
	dp := m.Sum().DataPoints().AppendEmpty()
	dp.SetStartTimestamp(pcommon.Timestamp(s.start))
	dp.SetTimestamp(r.at)
	dp.SetDoubleValue(s.sum)
	putLabels(dp.Attributes(), s)
}

func (r *renderer) begin(of *metric) pmetric.Metric {
	m := r.metrics.AppendEmpty()
	m.SetName(of.name)
	m.SetDescription(of.help)
	if of.kind == pagename.Histogram {
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	} else {
		m.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.Sum().SetIsMonotonic(true)
	}
	return m
}

func putLabels(attributes pcommon.Map, s *series) {
	attributes.EnsureCapacity(len(s.metric.names))
	for name, value := range s.set.All() {
		attributes.PutStr(name, value)
	}
}
