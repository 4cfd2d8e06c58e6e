package fleetprometheus

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fleet-telemetry/collector/internal/exemplars"
	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// takeAll shows all of a request at once: a histogram may be there as what it is in each of two formats, which have to go together.
func (p *page) takeAll(md pmetric.Metrics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				p.take(m)
			}
		}
	}
}

// take shows the points of a metric from now on; they arrive in the order in which they are to be shown. The page is locked.
func (p *page) take(m pmetric.Metric) {
	name := labels.MetricName(m.Name())
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		p.takeNumbers(name, m.Description(), pagename.Gauge, m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		kind := pagename.Gauge
		if m.Sum().IsMonotonic() {
			kind = pagename.Counter
		}
		if isCumulative(m.Sum().AggregationTemporality(), &p.dropped, m.Sum().DataPoints().Len()) {
			p.takeNumbers(name, m.Description(), kind, m.Sum().DataPoints())
		}
	case pmetric.MetricTypeHistogram:
		if isCumulative(m.Histogram().AggregationTemporality(), &p.dropped, m.Histogram().DataPoints().Len()) {
			p.takeHistograms(name, m.Description(), m.Histogram().DataPoints())
		}
	case pmetric.MetricTypeExponentialHistogram:
		if isCumulative(m.ExponentialHistogram().AggregationTemporality(), &p.dropped, m.ExponentialHistogram().DataPoints().Len()) {
			p.takeNatives(name, m.Description(), m.ExponentialHistogram().DataPoints())
		}
	case pmetric.MetricTypeSummary:
		p.dropped[dropKind] += int64(m.Summary().DataPoints().Len())
	}
}

// isCumulative: what is shown is a state; a difference from the one before is none.
func isCumulative(t pmetric.AggregationTemporality, dropped *drops, points int) bool {
	if t == pmetric.AggregationTemporalityCumulative {
		return true
	}
	dropped[dropTemporality] += int64(points)
	return false
}

func (p *page) takeNumbers(name, help string, kind pagename.Kind, points pmetric.NumberDataPointSlice) {
	f := p.familyOf(name, help, kind, points.Len())
	if f == nil {
		return
	}
	defer p.forgetEmpty(f)
	for _, dp := range points.All() {
		s := p.seriesOf(f, dp.Attributes(), "", dp.Flags())
		if s == nil {
			continue
		}
		s.value, s.start = dp.DoubleValue(), int64(dp.StartTimestamp())
		if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
			s.value = float64(dp.IntValue())
		}
	}
}

func (p *page) takeHistograms(name, help string, points pmetric.HistogramDataPointSlice) {
	f := p.familyOf(name, help, pagename.Histogram, points.Len())
	if f == nil {
		return
	}
	defer p.forgetEmpty(f)
	for _, dp := range points.All() {
		if !hasBuckets(dp) {
			p.dropped[dropBuckets]++
			continue
		}
		if s := p.seriesOf(f, dp.Attributes(), "le", dp.Flags()); s != nil {
			s.value, s.start, s.native = dp.Sum(), int64(dp.StartTimestamp()), nil
			s.setBuckets(f, dp)
			p.setLinks(s, dp.Exemplars())
		}
	}
}

func (p *page) takeNatives(name, help string, points pmetric.ExponentialHistogramDataPointSlice) {
	f := p.familyOf(name, help, pagename.Histogram, points.Len())
	if f == nil {
		return
	}
	defer p.forgetEmpty(f)
	for _, dp := range points.All() {
		native, ok := nativeOf(dp)
		if !ok {
			p.dropped[dropBuckets]++
			continue
		}
		if s := p.seriesOf(f, dp.Attributes(), "le", dp.Flags()); s != nil {
			s.native, s.value, s.start = native, dp.Sum(), int64(dp.StartTimestamp())
			if s.hist == nil || s.hist.count() != native.count {
				s.hist = &buckets{counts: []uint64{native.count}}
			}
		}
	}
}

// hasBuckets tells whether a page with these buckets is valid.
func hasBuckets(dp pmetric.HistogramDataPoint) bool {
	bounds := dp.ExplicitBounds()
	for i := range bounds.Len() {
		if math.IsNaN(bounds.At(i)) || math.IsInf(bounds.At(i), 0) || i > 0 && bounds.At(i) <= bounds.At(i-1) {
			return false
		}
	}
	return dp.BucketCounts().Len() == bounds.Len()+1
}

func (s *series) setBuckets(f *family, dp pmetric.HistogramDataPoint) {
	bounds, counts := dp.ExplicitBounds(), dp.BucketCounts()
	if s.hist == nil {
		s.hist = &buckets{}
	}
	if !sameBounds(s.hist.bounds, bounds) || s.hist.counts == nil {
		s.hist.bounds = f.shareBounds(bounds.AsRaw())
		s.hist.counts = make([]uint64, counts.Len())
	}
	for i := range counts.Len() {
		s.hist.counts[i] = counts.At(i)
	}
}

// setLinks shows the newest exemplar of each bucket.
func (p *page) setLinks(s *series, reported pmetric.ExemplarSlice) {
	p.links -= len(s.links)
	s.links = s.links[:0]
	if reported.Len() == 0 || p.links >= maxExemplars {
		return
	}
	for _, link := range exemplars.Append(nil, reported, math.MaxInt64) {
		s.links = s.links.Keep(link, s.hist.bounds)
	}
	p.links += len(s.links)
}

func sameBounds(known []float64, bounds pcommon.Float64Slice) bool {
	if len(known) != bounds.Len() {
		return false
	}
	for i, bound := range known {
		if bound != bounds.At(i) {
			return false
		}
	}
	return true
}

func (p *page) familyOf(name, help string, kind pagename.Kind, points int) *family {
	if points == 0 {
		return nil
	}
	if name == "" {
		p.dropped[dropName] += int64(points)
		return nil
	}
	f, refused := p.family(name, help, kind)
	if f == nil {
		p.dropped[refused] += int64(points)
	}
	return f
}

// seriesOf is the series of a point that has a value.
func (p *page) seriesOf(f *family, attributes pcommon.Map, reserved string, flags pmetric.DataPointFlags) *series {
	text, ok := p.encoder.Append(p.text[:0], attributes, nil, reserved)
	if p.text = text; !ok {
		p.dropped[dropLabels]++
		return nil
	}
	if flags.NoRecordedValue() {
		if s := f.series[labels.Set(text)]; s != nil {
			p.forget(f, s)
		}
		return nil
	}
	s, refused := p.find(f, text)
	if s == nil {
		p.dropped[refused]++
		return nil
	}
	s.seen = p.age()
	return s
}
