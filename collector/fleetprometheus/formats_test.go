package fleetprometheus

import (
	"compress/gzip"
	"io"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

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
