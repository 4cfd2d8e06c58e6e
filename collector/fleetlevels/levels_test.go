package fleetlevels

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// rewritten is what becomes of a request, and how many points were dropped by reason.
func rewritten(t *testing.T, config *Config, md pmetric.Metrics) (shown, dropped string) {
	t.Helper()
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	reader := metric.NewManualReader()
	telemetry := componenttest.NewNopTelemetrySettings()
	telemetry.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
	sink := &consumertest.MetricsSink{}
	l, err := newLevels(config, processor.Settings{ID: component.MustNewID("fleet_levels"), TelemetrySettings: telemetry}, sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.ConsumeMetrics(context.Background(), md); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, out := range sink.AllMetrics() {
		for _, m := range out.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			var points pmetric.NumberDataPointSlice
			if m.Type() == pmetric.MetricTypeSum {
				points = m.Sum().DataPoints()
			} else {
				points = m.Gauge().DataPoints()
			}
			for _, dp := range points.All() {
				if age := time.Since(dp.Timestamp().AsTime()); age < 0 || age > time.Minute {
					t.Error("the time is not that of the arrival:", dp.Timestamp())
				}
				lines = append(lines, m.Name()+strings.TrimPrefix(fmt.Sprint(dp.Attributes().AsRaw(), " ", dp.DoubleValue()), "map"))
			}
		}
	}
	return strings.Join(lines, "; "), droppedBy(t, reader)
}

func droppedBy(t *testing.T, reader *metric.ManualReader) string {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, scope := range collected.ScopeMetrics {
		for _, point := range scope.Metrics[0].Data.(metricdata.Sum[int64]).DataPoints {
			reason, _ := point.Attributes.Value("reason")
			all = append(all, fmt.Sprint(reason.AsString(), ":", point.Value))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// request is one process' report of a level, a fact and a total.
func request(resource map[string]any) (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	_ = rm.Resource().Attributes().FromRaw(resource)
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	cumulative(metrics, "level", 2)
	fact := metrics.AppendEmpty()
	fact.SetName("fact")
	dp := fact.SetEmptyGauge().DataPoints().AppendEmpty()
	dp.SetIntValue(7)
	dp.SetTimestamp(1)
	dp.Attributes().PutStr("k.x", "v")
	total := metrics.AppendEmpty()
	total.SetName("total")
	total.SetEmptySum().SetIsMonotonic(true)
	total.Sum().DataPoints().AppendEmpty().SetIntValue(1)
	return md, metrics
}

func levelOf(metrics pmetric.MetricSlice, name string, value float64, temporality pmetric.AggregationTemporality) pmetric.NumberDataPoint {
	m := metrics.AppendEmpty()
	m.SetName(name)
	m.SetEmptySum().SetAggregationTemporality(temporality)
	dp := m.Sum().DataPoints().AppendEmpty()
	dp.SetDoubleValue(value)
	return dp
}

func cumulative(metrics pmetric.MetricSlice, name string, value float64) pmetric.NumberDataPoint {
	return levelOf(metrics, name, value, pmetric.AggregationTemporalityCumulative)
}

// A level says whose it is, a fact does not, a total is none of ours; both say their environment, and their namespace if they have one.
func TestLevelsAndFacts(t *testing.T) {
	for want, resource := range map[string]map[string]any{
		"level[environment:prod instance:i] 2; fact[environment:prod k_x:v] 7":     {"deployment.environment.name": "prod", "service.instance.id": "i"},
		"level[environment:old instance:host:12] 2; fact[environment:old k_x:v] 7": {"deployment.environment": "old", "host.name": "host", "process.pid": 12},
		"level[environment:dev] 2; fact[environment:dev k_x:v] 7":                  {"host.name": "host", "service.namespace": ""},
		"level[environment:dev instance:i service_namespace:shop] 2; fact[environment:dev k_x:v service_namespace:shop] 7": {
			"service.namespace": "shop", "service.instance.id": "i"},
	} {
		md, _ := request(resource)
		if got, dropped := rewritten(t, defaultConfig().(*Config), md); got != want || dropped != "" {
			t.Errorf("%s, not %s; dropped %s", got, want, dropped)
		}
	}
}

// What cannot be shown is dropped by its reason, and nothing else.
func TestDrops(t *testing.T) {
	config := defaultConfig().(*Config)
	config.KnownLevels, config.KnownFacts = []string{"level", "fact2"}, []string{"fact", "level2"}
	config.KnownTotals = []string{"seconds"}
	md, metrics := request(map[string]any{})
	cumulative(metrics, "seconds", 1)                                                 // known as a total
	cumulative(metrics, "seconds_bucket", 1)                                          // its part
	cumulative(metrics, "level2", 1)                                                  // known as a fact
	cumulative(metrics, "", 1)                                                        // no name
	levelOf(metrics, "delta", 1, pmetric.AggregationTemporalityDelta)                 // of what?
	cumulative(metrics, "text", 1).Attributes().PutStr("k", "\xff")                   // not UTF-8
	cumulative(metrics, "long", 1).Attributes().PutStr("k", strings.Repeat("x", 2e3)) // too long
	got, dropped := rewritten(t, config, md)
	if got != "level[environment:dev] 2; fact[environment:dev k_x:v] 7" || dropped != "kind:3 labels:1 name:1 temporality:1 text:1" {
		t.Error(got, "dropped", dropped)
	}
}

// A name that is known as both is a mistake that is told.
func TestKnownTwice(t *testing.T) {
	config := defaultConfig().(*Config)
	config.KnownLevels, config.KnownFacts = []string{"a"}, []string{"a"}
	if err := config.Validate(); err == nil || !strings.Contains(err.Error(), "known_facts: a") {
		t.Error(err)
	}
}
