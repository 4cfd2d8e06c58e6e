package fleetprometheus

import (
	"fmt"
	"io"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// linked is a histogram with exemplars of these values; the number of each span is its place in the list, from 1.
func linked(name string, values ...float64) pmetric.Metrics {
	md := histogram(name, 7, []float64{0.5, 1}, []uint64{1, 2, 3}, "k", "1")
	dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0)
	for i, value := range values {
		e := dp.Exemplars().AppendEmpty()
		e.SetDoubleValue(value)
		e.SetTimestamp(pcommon.Timestamp(1_700_000_000_000_000_000 + int64(i)*1e9))
		e.SetTraceID(pcommon.TraceID{15: byte(i + 1)})
		e.SetSpanID(pcommon.SpanID{7: byte(i + 1)})
		e.FilteredAttributes().PutStr("user", "alice")
	}
	return md
}

func shownLink(number int, value string) string {
	return fmt.Sprintf(` # {trace_id="%032d",span_id="%016d"} %s 1.70000000%d`, number, number, value, number-1)
}

// OpenMetrics has the newest exemplar of each bucket, the last one included: ids, value and time, nothing else. Text has none.
func TestExemplarsInOpenMetrics(t *testing.T) {
	e := begin(t)
	e.show(t, linked("h", 0.1, 0.2, 30))
	check(t, e)
	got := body(t, get(e, "Accept", "application/openmetrics-text;version=1.0.0"))
	for _, part := range []string{
		`h_bucket{k="1",le="0.5"} 1` + shownLink(2, "0.2"), `h_bucket{k="1",le="1.0"} 3` + "\n", `h_bucket{k="1",le="+Inf"} 6` + shownLink(3, "30.0"),
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in\n%s", part, got)
		}
	}
	if text := body(t, get(e)); strings.Contains(text, "trace_id") || strings.Count(text, "+Inf") != 1 {
		t.Error(text)
	}
}

// Protobuf has them, too. A series that has none any more, in the space of one that had some, shows none.
func TestExemplarsInProtobuf(t *testing.T) {
	e := begin(t)
	e.show(t, linked("h", 0.1, 30))
	if got := protobufLinks(t, e); got != "0.5:1 +Inf:2 " {
		t.Error(got)
	}
	e.show(t, linked("h"))
	if got := protobufLinks(t, e); got != "" || e.page.links != 0 {
		t.Error(got, e.page.links)
	}
}

func protobufLinks(t *testing.T, e *prometheusExporter) (all string) {
	r := get(e, "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	decoder := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header))
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		for _, bucket := range family.Metric[0].Histogram.Bucket {
			if bucket.Exemplar != nil {
				trace := bucket.Exemplar.Label[0].GetValue()
				all += fmt.Sprintf("%v:%s ", bucket.GetUpperBound(), strings.TrimLeft(trace, "0"))
			}
		}
	}
}
