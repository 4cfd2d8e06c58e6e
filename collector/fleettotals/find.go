package fleettotals

import (
	"slices"

	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// find is the series of a point, and whether the point is folded into it; nil if the point is dropped.
func (t *totals) find(e *export, p *part, pt *point) (s *series, folded bool) {
	m := t.metricOf(e, pt)
	if m == nil {
		return nil, false
	}
	set := e.set(pt)
	if s := m.series[string(set)]; s != nil {
		return s, false
	}
	if !labels.Set(set).Valid() {
		e.dropped[dropText]++
		return nil, false
	}
	if m.names == nil {
		m.names = labelNames(labels.Set(set))
	}
	if t.budget.Take(m.account) {
		for _, l := range p.values {
			t.values.admit(l.Name, l.Value)
		}
		return t.addSeries(m, labels.Set(set), e.boundsOf(pt)), false
	}
	other := m.otherSet(t.values.keep(p.values), t.config.ResourceLabels)
	if s = m.series[string(other)]; s == nil {
		t.budget.Force(m.account)
		s = t.addSeries(m, other, e.boundsOf(pt))
	}
	return s, true
}

// addSeries makes a series of the open group.
func (t *totals) addSeries(m *metric, set labels.Set, bounds []float64) *series {
	s := &series{metric: m, set: set, start: t.clock.wall()}
	if m.kind == pagename.Histogram {
		s.bounds = m.shareBounds(firstBounds(m.least, bounds, t.config.most(bounds)))
		s.counts = make([]uint64, len(s.bounds)+1)
	}
	s.slot = t.bySeries.take(s)
	m.series[string(set)] = s
	t.open.fresh = append(t.open.fresh, s)
	return s
}

// firstBounds is what a series begins with: the bounds that its metric is known to have and those of its first point, as far as they go.
func firstBounds(least, bounds []float64, most int) []float64 {
	if all := unite(least, bounds); len(all) <= most {
		return all
	}
	if len(least) > 0 {
		return least
	}
	return thin(bounds, most)
}

// metricOf is the metric of a point, made if it may be.
func (t *totals) metricOf(e *export, pt *point) *metric {
	ref := &e.metrics[pt.metric]
	if ref.metric == nil {
		ref.metric = t.metrics[ref.name]
	}
	if ref.metric == nil {
		var refused reason
		if ref.metric, refused = t.addMetric(ref); ref.metric == nil {
			e.dropped[refused]++
			return nil
		}
	}
	if ref.metric.kind != ref.kind {
		e.dropped[dropKind]++
		return nil
	}
	return ref.metric
}

// addMetric makes a metric of the open group, or says why not.
func (t *totals) addMetric(ref *metricRef) (*metric, reason) {
	if known, ok := t.config.KnownMetrics[ref.name]; ok && known.kind() != ref.kind {
		return nil, dropKind
	}
	if slices.Contains(t.config.OtherMetrics, ref.name) {
		return nil, dropKind
	}
	if !t.claims.Take(ref.name, ref.kind) {
		return nil, dropName
	}
	if !t.budget.TakeName(ref.name) {
		t.claims.Release(ref.name, ref.kind)
		return nil, dropNames
	}
	m := t.newMetric(ref.name, helpText(ref.help), ref.kind)
	m.slot = t.byMetric.take(m)
	t.metrics[m.name] = m
	t.open.metrics = append(t.open.metrics, m)
	return m, 0
}

func (t *totals) newMetric(name, help string, kind pagename.Kind) *metric {
	return &metric{
		name: name, help: help, kind: kind, account: t.budget.Account(name), series: map[string]*series{},
		least: t.config.KnownMetrics[name].Bounds,
	}
}
