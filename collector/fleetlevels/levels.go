// Package fleetlevels is a processor that prepares levels (sums that also fall) and facts (gauges) for a Prometheus page. A level is of
// one process and says which, a fact is the fleet's, and the last report of it wins. It remembers nothing: what expires, and how much
// of it there may be, is the exporter's.
package fleetlevels

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"

	"github.com/fleet-telemetry/collector/internal/labels"
)

// NewFactory makes the factory of `fleet_levels`.
func NewFactory() processor.Factory {
	return processor.NewFactory(component.MustNewType("fleet_levels"), defaultConfig,
		processor.WithMetrics(create, component.StabilityLevelBeta))
}

func create(_ context.Context, set processor.Settings, config component.Config, next consumer.Metrics) (processor.Metrics, error) {
	return newLevels(config.(*Config), set, next)
}

// kind is what a metric is.
type kind byte

const (
	unknown kind = iota
	level
	fact
	total
)

type levels struct {
	component.StartFunc
	component.ShutdownFunc

	config *Config
	next   consumer.Metrics
	own    *instruments
	known  map[string]kind
}

func newLevels(config *Config, set processor.Settings, next consumer.Metrics) (*levels, error) {
	known := map[string]kind{}
	for _, name := range config.KnownTotals {
		for _, part := range []string{"", "_bucket", "_count", "_sum", "_created"} {
			known[name+part] = total
		}
	}
	for _, name := range config.KnownLevels {
		known[name] = level
	}
	for _, name := range config.KnownFacts {
		known[name] = fact
	}
	own, err := newInstruments(set.TelemetrySettings)
	return &levels{config: config, next: next, own: own, known: known}, err
}

// Capabilities: a request is only read.
func (*levels) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeMetrics hands on what of a request is a level or a fact.
func (l *levels) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	r := newRewrite(l)
	for _, rm := range md.ResourceMetrics().All() {
		r.beginResource(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				r.metric(m)
			}
		}
	}
	l.own.report(ctx, &r.dropped)
	if r.out.MetricCount() == 0 {
		return nil
	}
	return l.next.ConsumeMetrics(ctx, r.out)
}

// rewrite makes a request with nothing in it but names, labels and values.
type rewrite struct {
	levels   *levels
	out      pmetric.Metrics
	metrics  pmetric.MetricSlice
	at       pcommon.Timestamp
	encoder  labels.Encoder
	text     []byte
	values   []labels.Label // of the resource labels
	instance []labels.Label // the same, and whose level it is
	dropped  drops
}

func newRewrite(l *levels) *rewrite {
	out := pmetric.NewMetrics()
	return &rewrite{
		levels: l, out: out, metrics: out.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics(),
		at:      pcommon.NewTimestampFromTime(time.Now()), // the senders' clocks may differ
		encoder: labels.Encoder{MaxLabels: l.config.MaxLabels, MaxBytes: l.config.MaxLabelBytes},
	}
}

func (r *rewrite) beginResource(resource pcommon.Map) {
	r.values = labels.AppendResource(r.values[:0], r.levels.config.ResourceLabels, resource)
	r.instance = append(append(r.instance[:0], r.values...), labels.Label{Name: "instance", Value: instanceOf(resource)})
}

// instanceOf: without an instance id, which older SDKs do not send, the levels of two processes would overwrite each other.
func instanceOf(resource pcommon.Map) string {
	if id, ok := resource.Get("service.instance.id"); ok {
		return labels.Text(id)
	}
	pid, ok := resource.Get("process.pid")
	if !ok {
		return ""
	}
	host := ""
	if name, ok := resource.Get("host.name"); ok {
		host = labels.Text(name)
	}
	return host + ":" + labels.Text(pid)
}

func (r *rewrite) metric(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		r.points(m, fact, m.Gauge().DataPoints(), r.values)
	case pmetric.MetricTypeSum:
		switch {
		case m.Sum().IsMonotonic(): // a total: another pipeline's
		case m.Sum().AggregationTemporality() != pmetric.AggregationTemporalityCumulative:
			r.dropped[dropTemporality] += int64(m.Sum().DataPoints().Len())
		default:
			r.points(m, level, m.Sum().DataPoints(), r.instance)
		}
	}
}

func (r *rewrite) points(m pmetric.Metric, is kind, points pmetric.NumberDataPointSlice, extra []labels.Label) {
	name := labels.MetricName(m.Name())
	if known := r.levels.known[name]; known != unknown && known != is {
		r.dropped[dropKind] += int64(points.Len())
		return
	}
	if name == "" {
		r.dropped[dropName] += int64(points.Len())
		return
	}
	out := r.metrics.AppendEmpty()
	out.SetName(name)
	out.SetDescription(m.Description())
	into := r.begin(out, is)
	into.EnsureCapacity(points.Len())
	for _, dp := range points.All() {
		r.point(into, dp, extra)
	}
}

func (r *rewrite) begin(out pmetric.Metric, is kind) pmetric.NumberDataPointSlice {
	if is == fact {
		return out.SetEmptyGauge().DataPoints()
	}
	out.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	return out.Sum().DataPoints()
}

func (r *rewrite) point(into pmetric.NumberDataPointSlice, dp pmetric.NumberDataPoint, extra []labels.Label) {
	text, ok := r.encoder.Append(r.text[:0], dp.Attributes(), extra, "")
	if r.text = text; !ok {
		r.dropped[dropLabels]++
		return
	}
	set := labels.Set(text)
	if !set.Valid() {
		r.dropped[dropText]++
		return
	}
	out := into.AppendEmpty()
	out.SetTimestamp(r.at)
	out.SetFlags(dp.Flags())
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		out.SetDoubleValue(float64(dp.IntValue()))
	} else {
		out.SetDoubleValue(dp.DoubleValue())
	}
	for name, value := range set.All() {
		out.Attributes().PutStr(name, value)
	}
}
