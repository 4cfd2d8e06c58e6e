package fleettotals

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/fleet-telemetry/collector/internal/grid"
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
		known:   map[*metric]pmetric.Metric{}, native: map[*metric]pmetric.Metric{}, at: pcommon.Timestamp(t.lastEmit),
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
	native  map[*metric]pmetric.Metric
	at      pcommon.Timestamp
}

func (r *renderer) add(s *series) {
	m := r.metricOf(r.known, s.metric, beginMetric)
	switch {
	case s.metric.kind != pagename.Histogram:
		r.addSum(m, s)
	case grid.Is(s.bounds):
		bounds := s.metric.classicBounds(s.bounds)
		counts := make([]uint64, len(bounds)+1)
		rebucket(counts, bounds, s.counts, s.bounds)
		r.addHistogram(m, s, bounds, counts)
		r.addNative(r.metricOf(r.native, s.metric, beginNative), s)
	default:
		r.addHistogram(m, s, s.bounds, s.counts)
	}
}

func (r *renderer) addHistogram(m pmetric.Metric, s *series, bounds []float64, counts []uint64) {
	dp := m.Histogram().DataPoints().AppendEmpty()
	dp.SetStartTimestamp(pcommon.Timestamp(s.start))
	dp.SetTimestamp(r.at)
	dp.ExplicitBounds().FromRaw(bounds)
	dp.BucketCounts().FromRaw(counts)
	dp.SetCount(s.total)
	dp.SetSum(s.sum)
	s.links.Put(dp.Exemplars())
	putLabels(dp.Attributes(), s)
}

// addNative adds the same as an exponential histogram.
func (r *renderer) addNative(m pmetric.Metric, s *series) {
	dp := m.ExponentialHistogram().DataPoints().AppendEmpty()
	dp.SetStartTimestamp(pcommon.Timestamp(s.start))
	dp.SetTimestamp(r.at)
	grid.Put(dp, s.bounds, s.counts)
	dp.SetCount(s.total)
	dp.SetSum(s.sum)
	putLabels(dp.Attributes(), s)
}

func (r *renderer) addSum(m pmetric.Metric, s *series) {
	dp := m.Sum().DataPoints().AppendEmpty()
	dp.SetStartTimestamp(pcommon.Timestamp(s.start))
	dp.SetTimestamp(r.at)
	dp.SetDoubleValue(s.sum)
	putLabels(dp.Attributes(), s)
}

func (r *renderer) metricOf(known map[*metric]pmetric.Metric, of *metric, begin func(pmetric.Metric, *metric)) pmetric.Metric {
	m, ok := known[of]
	if !ok {
		m = r.metrics.AppendEmpty()
		m.SetName(of.name)
		m.SetDescription(of.help)
		begin(m, of)
		known[of] = m
	}
	return m
}

func beginNative(m pmetric.Metric, _ *metric) {
	m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
}

func beginMetric(m pmetric.Metric, of *metric) {
	if of.kind == pagename.Histogram {
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	} else {
		m.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.Sum().SetIsMonotonic(true)
	}
}

func putLabels(attributes pcommon.Map, s *series) {
	attributes.EnsureCapacity(len(s.metric.names))
	for name, value := range s.set.All() {
		attributes.PutStr(name, value)
	}
}
