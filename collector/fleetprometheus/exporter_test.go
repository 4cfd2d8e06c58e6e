package fleetprometheus

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fleet-telemetry/collector/internal/budget"
	"github.com/fleet-telemetry/collector/internal/handover"
)

func begin(t testing.TB, edits ...func(*Config)) *prometheusExporter {
	t.Helper()
	config := defaultConfig().(*Config)
	config.NetAddr.Endpoint = "127.0.0.1:0"
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

const page1 = `# HELP c_total A counter.
# TYPE c_total counter
c_total{environment="prod",k="1"} 3
c_total{environment="prod",k="2"} 4.5
# HELP g A gauge.
# TYPE g gauge
g{text="a \"b\" \\ \n"} -1
# HELP h A histogram.
# TYPE h histogram
h_bucket{k="1",le="0.5"} 1
h_bucket{k="1",le="1"} 3
h_bucket{k="1",le="+Inf"} 6
h_sum{k="1"} 7
h_count{k="1"} 6
`

func filled(t testing.TB, edits ...func(*Config)) *prometheusExporter {
	e := begin(t, edits...)
	e.show(t, gauge("g", -1, "text", "a \"b\" \\ \n"), counter("c_total", 4.5, "k", "2", "environment", "prod"),
		counter("c_total", 2, "k", "1", "environment", "prod"), histogram("h", 7, []float64{0.5, 1}, []uint64{1, 2, 3}, "k", "1"),
		counter("c_total", 3, "environment", "prod", "k", "1"))
	return e
}

// The text format: families and series in order, last values, buckets added up, text escaped.
func TestText(t *testing.T) {
	r := get(filled(t))
	if got := body(t, r); got != page1 {
		t.Errorf("the page is\n%s\nnot\n%s", got, page1)
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Error(kind)
	}
}

// OpenMetrics when asked for: counters by their base name, an end; start times as lines only where that is set.
func TestOpenMetrics(t *testing.T) {
	accept := []string{"Accept", "application/openmetrics-text;version=1.0.0"}
	got := body(t, get(filled(t), accept...))
	for _, part := range []string{"# TYPE c counter\n", `c_total{environment="prod",k="1"} 3.0` + "\n", "# EOF\n", `h_bucket{k="1",le="1.0"} 3`} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in\n%s", part, got)
		}
	}
	if strings.Contains(got, "_created") {
		t.Error("start times are lines although nobody said so")
	}
	got = body(t, get(filled(t, func(c *Config) { c.CreatedLines = true }), accept...))
	for _, part := range []string{`c_created{environment="prod",k="1"} 1.7000000005e+09`, `h_created{k="1"} 1.7e+09`} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in\n%s", part, got)
		}
	}
}

// Protobuf when asked for has the start times.
func TestProtobuf(t *testing.T) {
	r := get(filled(t), "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	decoder := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header))
	names := ""
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names += family.GetName() + " "
		first := family.Metric[0]
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			if start := first.Counter.GetCreatedTimestamp().AsTime(); start.UnixNano() != 1_700_000_000_500_000_000 {
				t.Error(start)
			}
		case dto.MetricType_HISTOGRAM:
			if first.Histogram.GetCreatedTimestamp() == nil || first.Histogram.GetSampleCount() != 6 || len(first.Histogram.Bucket) != 2 {
				t.Error(first.Histogram)
			}
		}
	}
	if names != "c_total g h " {
		t.Error(names)
	}
}

// Compressed when asked for.
func TestGzip(t *testing.T) {
	e := filled(t)
	for range 2 {
		r := get(e, "Accept-Encoding", "deflate, gzip;q=0.5")
		if r.Header.Get("Content-Encoding") != "gzip" {
			t.Fatal(r.Header)
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); string(got) != page1 || err != nil {
			t.Error(string(got), err)
		}
	}
	if r := get(e, "Accept-Encoding", "gzip;q=0"); r.Header.Get("Content-Encoding") != "" {
		t.Error("compressed although refused")
	}
}

// Until the totals are complete there is no page, and from then on there always is one.
func TestNoPageBeforeTheTotalsAreThere(t *testing.T) {
	e := filled(t, func(c *Config) { c.WaitForTotals = true })
	r := get(e)
	if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body(t, r), "being restored") {
		t.Error(r.StatusCode)
	}
	e.show(t, handover.Complete())
	e.show(t, gauge("g", 1))
	if r := get(e); r.StatusCode != http.StatusOK {
		t.Error(r.StatusCode)
	}
}

// A series without reports expires, and its family with the last one; 0 is never.
func TestExpiration(t *testing.T) {
	now := time.Now()
	for expiration, want := range map[time.Duration]string{time.Minute: "g 2", 0: "g 2 h 1"} {
		e := begin(t, func(c *Config) { c.Expiration = expiration })
		e.page.now = func() time.Time { return now }
		e.show(t, gauge("h", 1), gauge("g", 1))
		now = now.Add(59 * time.Second)
		e.show(t, gauge("g", 2))
		if got := values(t, e); got != "g 2 h 1" {
			t.Error(got)
		}
		now = now.Add(2 * time.Second)
		if got := values(t, e); got != want {
			t.Errorf("after %s: %s, not %s", expiration, got, want)
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

// A point without a value takes its series off the page.
func TestNoValue(t *testing.T) {
	e := begin(t)
	e.show(t, gauge("g", 1), gauge("g", 2, "k", "1"))
	gone := gauge("g", 0, "k", "1")
	gone.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).SetFlags(
		pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	e.show(t, gone)
	if got := values(t, e); got != "g 1" {
		t.Error(got)
	}
}

// What cannot stand on a page together does not: the first one stays, the other one is counted by its reason.
func TestConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		first, second pmetric.Metrics
		reason        reason
	}{
		"another kind":              {gauge("x", 1), counter("x", 1), dropKind},
		"a histogram's bucket":      {histogram("x", 1, nil, []uint64{1}), gauge("x_bucket", 1), dropName},
		"a histogram of a count":    {counter("x_count", 1), histogram("x", 1, nil, []uint64{1}), dropName},
		"a counter's base":          {counter("x_total", 1), gauge("x", 1), dropName},
		"bounds that do not ascend": {gauge("y", 1), histogram("x", 1, []float64{2, 1}, []uint64{1, 1, 1}), dropBuckets},
		"a bound that is the end":   {gauge("y", 1), histogram("x", 1, []float64{math.Inf(1)}, []uint64{1, 1}), dropBuckets},
		"not UTF-8":                 {gauge("y", 1), gauge("x", 1, "k", "\xff"), dropText},
		"no name":                   {gauge("y", 1), gauge("", 1), dropName},
	} {
		e := begin(t)
		e.show(t, c.first, c.second)
		if e.page.dropped[c.reason] != 1 {
			t.Error(name, e.page.dropped)
		}
		check(t, e)
	}
}

// Names that become one by escaping are one series, the last report of it.
func TestEscapedNamesAreOne(t *testing.T) {
	e := begin(t)
	e.show(t, gauge("a.b", 1, "x.y", "1"), gauge("a_b", 2, "x_y", "1"), gauge("a_b", 3, "x.y", "2", "x_y", "3"))
	if got := values(t, e); got != `a_b{x_y="1"} 2 a_b{x_y="2;3"} 3` {
		t.Error(got)
	}
}

// Beyond its budget a metric gets no new series, those that are there go on, and others have their room.
func TestBudget(t *testing.T) {
	e := begin(t, func(c *Config) {
		c.KnownMetrics = []string{"known", "other"}
		c.Budget = &budget.Config{MaxSeries: 20, SeriesPerMetric: 5, ReservedSeries: 5, UnknownSeries: 5, UnknownNames: 2}
	})
	for n := range 100 {
		e.show(t, gauge("known", 1, "k", fmt.Sprint(n)), gauge(fmt.Sprint("unknown", n), 1), gauge("unknown0", 1, "k", fmt.Sprint(n)))
	}
	e.show(t, gauge("known", 7, "k", "0"), gauge("other", 1))
	got := values(t, e)
	if !strings.Contains(got, `known{k="0"} 7`) || !strings.Contains(got, "other 1") || e.page.series > 15 || len(e.page.families) != 4 {
		t.Error(e.page.series, len(e.page.families), got)
	}
}

// More pages at once than may be are told to wait.
func TestScrapesAreBounded(t *testing.T) {
	e := filled(t, func(c *Config) { c.MaxScrapes = 1 })
	e.scrapes <- struct{}{}
	if r := get(e); r.StatusCode != http.StatusServiceUnavailable {
		t.Error(r.StatusCode)
	}
	<-e.scrapes
	if r := get(e); r.StatusCode != http.StatusOK {
		t.Error(r.StatusCode)
	}
}

// Whatever is shown, the page is valid, in text and in OpenMetrics.
func TestAnyPageIsValid(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	words := []string{"a", "b", "a.b", "a_b", "le", "", "é", "x\xff", "__name__", "a_total", "a_bucket", "a\nb", "1", "_", "quantile"}
	word := func() string { return words[r.Intn(len(words))] }
	for range 200 {
		e := begin(t)
		for range 30 {
			labels := []string{word(), word(), word(), word()}
			switch r.Intn(3) {
			case 0:
				e.show(t, gauge(word(), r.NormFloat64(), labels...))
			case 1:
				e.show(t, counter(word(), r.Float64(), labels...))
			default:
				e.show(t, histogram(word(), r.Float64(), []float64{1, 2}, []uint64{1, 2, 3}, labels...))
			}
		}
		check(t, e)
	}
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

// It listens, answers over HTTP and ends.
func TestServesAndEnds(t *testing.T) {
	e := begin(t, func(c *Config) { c.Expiration = time.Minute })
	if err := e.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func manySeries(n int) pmetric.Metrics {
	md, m := one()
	m.SetName("c_total")
	m.SetEmptySum().SetIsMonotonic(true)
	m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for i := range n {
		dp := m.Sum().DataPoints().AppendEmpty()
		dp.SetDoubleValue(float64(i))
		dp.SetStartTimestamp(1_700_000_000_000_000_000)
		put(dp.Attributes(), []string{"endpoint", fmt.Sprint("/api/v1/", i), "environment", "prod", "method", "GET"})
	}
	return md
}

func BenchmarkScrape100k(b *testing.B) {
	e := begin(b)
	e.show(b, manySeries(100_000))
	for name, accept := range map[string]string{
		"text": "text/plain", "openmetrics": "application/openmetrics-text;version=1.0.0",
		"protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := e.write(io.Discard, expfmt.NegotiateIncludingOpenMetrics(http.Header{"Accept": {accept}})); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTake(b *testing.B) {
	e := begin(b)
	md := manySeries(1_000)
	e.show(b, md)
	b.ReportAllocs()
	for b.Loop() {
		e.show(b, md)
	}
}
