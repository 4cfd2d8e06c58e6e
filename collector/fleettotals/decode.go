package fleettotals

import (
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fleet-telemetry/collector/internal/exemplars"
	"github.com/fleet-telemetry/collector/internal/grid"
	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// What a sender says about itself and its export, as attributes of the resource.
const (
	senderKey   = "telemetry.sender.id"
	sequenceKey = "telemetry.sender.sequence"
)

const (
	maxSenderName = 256
	maxMetricName = 200
	maxHelp       = 500
)

// source is where the points that are being decoded come from.
type source struct {
	resource       pcommon.Map
	scope, version string
	part           *part
	nameHash       uint64
	now            int64 // unix nanoseconds
}

// decode reads a request; levels and gauges in it are another pipeline's.
func decode(config *Config, md pmetric.Metrics, now int64) *export {
	e := exports.Get().(*export)
	e.reset(config)
	for _, rm := range md.ResourceMetrics().All() {
		p := part{values: labels.AppendResource(nil, config.ResourceLabels, rm.Resource().Attributes()), points: span{from: len(e.points)}}
		e.readSender(&p, rm.Resource().Attributes())
		from := source{resource: rm.Resource().Attributes(), part: &p, now: now}
		for _, sm := range rm.ScopeMetrics().All() {
			from.scope, from.version = sm.Scope().Name(), sm.Scope().Version()
			for _, m := range sm.Metrics().All() {
				e.readMetric(&from, m)
			}
		}
		p.points.to = len(e.points)
		e.parts = append(e.parts, p)
	}
	return e
}

// readSender: without a name and a number, or with odd ones, an export is counted each time it comes.
func (e *export) readSender(p *part, attributes pcommon.Map) {
	name, ok := attributes.Get(senderKey)
	if !ok || name.Type() != pcommon.ValueTypeStr || name.Str() == "" || len(name.Str()) > maxSenderName {
		return
	}
	sequence, ok := attributes.Get(sequenceKey)
	if !ok || sequence.Type() != pcommon.ValueTypeInt || sequence.Int() < 1 {
		return
	}
	p.sender, p.sequence, p.numbered = e.hasher.sender(name.Str(), attributes), sequence.Int(), true
}

func (e *export) readMetric(from *source, m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		if m.Sum().IsMonotonic() && e.beginMetric(from, m, pagename.Counter, m.Sum().DataPoints().Len(), m.Sum().AggregationTemporality()) {
			cumulative := m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
			for _, dp := range m.Sum().DataPoints().All() {
				e.readNumber(from, dp, cumulative)
			}
		}
	case pmetric.MetricTypeHistogram:
		if e.beginMetric(from, m, pagename.Histogram, m.Histogram().DataPoints().Len(), m.Histogram().AggregationTemporality()) {
			cumulative := m.Histogram().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
			for _, dp := range m.Histogram().DataPoints().All() {
				e.readHistogram(from, dp, cumulative)
			}
		}
	case pmetric.MetricTypeExponentialHistogram:
		if e.beginMetric(from, m, pagename.Histogram, m.ExponentialHistogram().DataPoints().Len(), m.ExponentialHistogram().AggregationTemporality()) {
			cumulative := m.ExponentialHistogram().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
			for _, dp := range m.ExponentialHistogram().DataPoints().All() {
				e.readExponential(from, dp, cumulative)
			}
		}
	case pmetric.MetricTypeSummary:
		e.dropped[dropKind] += int64(m.Summary().DataPoints().Len())
	}
}

func (e *export) beginMetric(from *source, m pmetric.Metric, kind pagename.Kind, points int, temporality pmetric.AggregationTemporality) bool {
	name := labels.MetricName(m.Name())
	switch {
	case name == "" || len(name) > maxMetricName:
		e.dropped[dropName] += int64(points)
		return false
	case temporality == pmetric.AggregationTemporalityUnspecified:
		e.dropped[dropTemporality] += int64(points)
		return false
	}
	e.metrics = append(e.metrics, metricRef{name: name, help: m.Description(), kind: kind})
	from.nameHash = xxhash.Sum64String(name)
	return true
}

func (e *export) readNumber(from *source, dp pmetric.NumberDataPoint, cumulative bool) {
	if dp.Flags().NoRecordedValue() {
		return
	}
	value := dp.DoubleValue()
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		value = float64(dp.IntValue())
	}
	if !isAmount(value) {
		e.dropped[dropAmount]++
		return
	}
	p := point{sum: value, cumulative: cumulative, start: int64(dp.StartTimestamp()), time: int64(dp.Timestamp())}
	e.finish(from, &p, dp.Attributes(), "")
}

func (e *export) readHistogram(from *source, dp pmetric.HistogramDataPoint, cumulative bool) {
	if dp.Flags().NoRecordedValue() {
		return
	}
	e.readDistribution(from, dp, cumulative, func() { e.readBuckets(dp) })
}

// readExponential lays the buckets over bounds: from then on it is a histogram as any other.
func (e *export) readExponential(from *source, dp pmetric.ExponentialHistogramDataPoint, cumulative bool) {
	if dp.Flags().NoRecordedValue() {
		return
	}
	e.readDistribution(from, dp, cumulative, func() { e.bounds, e.counts = grid.Lay(e.bounds, e.counts, dp) })
}

// distribution is what both kinds of histograms say beside their buckets.
type distribution interface {
	HasSum() bool
	Sum() float64
	StartTimestamp() pcommon.Timestamp
	Timestamp() pcommon.Timestamp
	Exemplars() pmetric.ExemplarSlice
	Attributes() pcommon.Map
}

func (e *export) readDistribution(from *source, dp distribution, cumulative bool, readBuckets func()) {
	sum := 0.0
	if dp.HasSum() {
		sum = dp.Sum()
	}
	if !isAmount(sum) {
		e.dropped[dropAmount]++
		return
	}
	p := point{sum: sum, cumulative: cumulative, start: int64(dp.StartTimestamp()), time: int64(dp.Timestamp())}
	p.bounds, p.counts = span{from: len(e.bounds)}, span{from: len(e.counts)}
	readBuckets()
	p.bounds.to, p.counts.to = len(e.bounds), len(e.counts)
	if !e.addUp(&p) {
		e.dropped[dropBuckets]++
		return
	}
	p.links.from = len(e.links)
	e.links = exemplars.Append(e.links, dp.Exemplars(), from.now)
	p.links.to = len(e.links)
	e.finish(from, &p, dp.Attributes(), "le")
}

// isAmount: a total that took anything else would fall, or never recover.
func isAmount(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// readBuckets takes bounds and counts; a histogram without buckets is one bucket.
func (e *export) readBuckets(dp pmetric.HistogramDataPoint) {
	bounds, counts := dp.ExplicitBounds(), dp.BucketCounts()
	if counts.Len() == 0 {
		e.counts = append(e.counts, dp.Count())
		return
	}
	for i := range bounds.Len() {
		e.bounds = append(e.bounds, bounds.At(i)+0) // -0 and 0 are one bound
	}
	for i := range counts.Len() {
		e.counts = append(e.counts, counts.At(i))
	}
}

// addUp: the counts' sum is the count, whatever the sender says, for a page whose last bucket is not its count is invalid. It is false
// where counts and bounds do not go together.
func (e *export) addUp(p *point) bool {
	for _, n := range e.countsOf(p) {
		if n > math.MaxInt64-p.total {
			return false
		}
		p.total += n
	}
	return p.counts.to-p.counts.from == p.bounds.to-p.bounds.from+1 && ascend(e.boundsOf(p))
}

// finish adds the point's labels, its stream and its share in the content.
func (e *export) finish(from *source, p *point, attributes pcommon.Map, reserved string) {
	p.metric = len(e.metrics) - 1
	begin := len(e.text)
	text, ok := e.encoder.Append(e.text, attributes, from.part.values, reserved)
	if e.text = text; !ok {
		e.dropped[dropLabels]++
		return
	}
	p.labels = span{begin, len(text)}
	if p.cumulative {
		name := e.metrics[p.metric].name
		p.stream = e.hasher.stream(from.resource, attributes, name, from.scope, from.version, p.start)
	}
	if from.part.numbered {
		from.part.content += e.hasher.content(from.nameHash, e.set(p), p, e.boundsOf(p), e.countsOf(p))
	}
	e.points = append(e.points, *p)
}

// helpText is a description as a page can show it.
func helpText(description string) string {
	if len(description) > maxHelp {
		description = description[:maxHelp]
	}
	return strings.ToValidUTF8(description, "")
}
