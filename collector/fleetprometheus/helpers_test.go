package fleetprometheus

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func begin(t testing.TB, edits ...func(*Config)) *prometheusExporter {
	t.Helper()
	config := defaultConfig().(*Config)
	config.Server.NetAddr.Endpoint = "127.0.0.1:0"
	for _, edit := range edits {
		edit(config)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	set := exporter.Settings{ID: component.MustNewID("fleet_prometheus"), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	e, err := newExporter(config, set)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// get is a page, asked for with these headers: name, value, name, value and so on.
func get(e *prometheusExporter, headers ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	e.serve(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func one() (pmetric.Metrics, pmetric.Metric) {
	md := pmetric.NewMetrics()
	return md, md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
}

func put(attributes pcommon.Map, labels []string) {
	for i := 0; i < len(labels); i += 2 {
		attributes.PutStr(labels[i], labels[i+1])
	}
}

func gauge(name string, value float64, labels ...string) pmetric.Metrics {
	md, m := one()
	m.SetName(name)
	m.SetDescription("A gauge.")
	dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
	dp.SetDoubleValue(value)
	put(dp.Attributes(), labels)
	return md
}

func counter(name string, value float64, labels ...string) pmetric.Metrics {
	md, m := one()
	m.SetName(name)
	m.SetDescription("A counter.")
	m.SetEmptySum().SetIsMonotonic(true)
	m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := m.Sum().DataPoints().AppendEmpty()
	dp.SetDoubleValue(value)
	dp.SetStartTimestamp(1_700_000_000_500_000_000)
	put(dp.Attributes(), labels)
	return md
}

func histogram(name string, sum float64, bounds []float64, counts []uint64, labels ...string) pmetric.Metrics {
	md, m := one()
	m.SetName(name)
	m.SetDescription("A histogram.")
	m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := m.Histogram().DataPoints().AppendEmpty()
	dp.SetSum(sum)
	dp.SetStartTimestamp(1_700_000_000_000_000_000)
	dp.ExplicitBounds().FromRaw(bounds)
	dp.BucketCounts().FromRaw(counts)
	put(dp.Attributes(), labels)
	return md
}

func (e *prometheusExporter) show(t testing.TB, all ...pmetric.Metrics) {
	t.Helper()
	for _, md := range all {
		if err := e.ConsumeMetrics(context.Background(), md); err != nil {
			t.Fatal(err)
		}
	}
}

func values(t testing.TB, e *prometheusExporter) string {
	var lines []string
	for line := range strings.Lines(body(t, get(e))) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, " ")
}

// check parses the page, and looks for samples that are there twice.
func check(t testing.TB, e *prometheusExporter) {
	t.Helper()
	page := body(t, get(e))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(page)); err != nil {
		t.Fatalf("%v in\n%s", err, page)
	}
	for _, text := range []string{page, body(t, get(e, "Accept", "application/openmetrics-text;version=1.0.0"))} {
		seen := map[string]bool{}
		for line := range strings.Lines(text) {
			key := line
			if !strings.HasPrefix(line, "# ") {
				key = line[:strings.LastIndexByte(line, ' ')]
			} else if line != "# EOF\n" {
				key = strings.Join(strings.Fields(line)[:3], " ")
			}
			if seen[key] {
				t.Fatalf("%q is there twice in\n%s", key, text)
			}
			seen[key] = true
		}
	}
}
