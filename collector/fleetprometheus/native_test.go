package fleetprometheus

import (
	"fmt"
	"io"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// both is a histogram with buckets, and as an exponential one.
func both(name string, zeros uint64, counts ...uint64) pmetric.Metrics {
	md := histogram(name, 7, []float64{0.5, 1}, []uint64{zeros, 0, 0}, "k", "1")
	for i := range counts {
		c := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).BucketCounts()
		c.SetAt(2, c.At(2)+counts[i])
	}
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	m.SetName(name)
	m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := m.ExponentialHistogram().DataPoints().AppendEmpty()
	dp.SetScale(3)
	dp.SetSum(7)
	dp.SetZeroThreshold(0.25)
	dp.SetZeroCount(zeros)
	dp.Positive().SetOffset(4)
	dp.Positive().BucketCounts().FromRaw(counts)
	put(dp.Attributes(), []string{"k", "1"})
	return md
}

func protobufHistogram(t *testing.T, e *prometheusExporter) *dto.Histogram {
	t.Helper()
	r := get(e, "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	var family dto.MetricFamily
	if err := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header)).Decode(&family); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return family.Metric[0].Histogram
}

func describe(h *dto.Histogram) string {
	text := fmt.Sprint(h.GetSampleCount(), " ", h.GetSampleSum(), " ", len(h.Bucket), " ")
	if h.Schema == nil {
		return text + "classic"
	}
	text += fmt.Sprint(h.GetSchema(), " ", h.GetZeroThreshold(), " ", h.GetZeroCount())
	for _, s := range h.PositiveSpan {
		text += fmt.Sprint(" ", s.GetOffset(), "+", s.GetLength())
	}
	return text + fmt.Sprint(" ", h.PositiveDelta)
}

// Protobuf has a histogram as both, classic and native; spans leave out what counts nothing. Text has the classic one.
func TestNativeHistogram(t *testing.T) {
	e := begin(t)
	e.show(t, both("h", 2, 1, 0, 0, 3, 5))
	if got := describe(protobufHistogram(t, e)); got != "11 7 2 3 0.25 2 5+1 2+2 [1 2 2]" {
		t.Error(got)
	}
	check(t, e)
	if text := values(t, e); !strings.Contains(text, `h_bucket{k="1",le="0.5"} 2 h_bucket{k="1",le="1"} 2 h_bucket{k="1",le="+Inf"} 11`) {
		t.Error(text)
	}
}

// One that counts nothing yet is a native histogram all the same; one that is reported with buckets alone is none any more.
func TestNativeHistogramComesAndGoes(t *testing.T) {
	e := begin(t)
	e.show(t, both("h", 0))
	if got := describe(protobufHistogram(t, e)); got != "0 7 2 3 0.25 0 0+0 []" {
		t.Error(got)
	}
	e.show(t, histogram("h", 7, []float64{0.5, 1}, []uint64{1, 2, 3}, "k", "1"))
	if got := describe(protobufHistogram(t, e)); got != "6 7 2 classic" {
		t.Error(got)
	}
}

// An exponential histogram that comes alone has the one bucket that every histogram has; what no page can show is dropped.
func TestExponentialHistogramAlone(t *testing.T) {
	e := begin(t)
	alone := func(change func(pmetric.ExponentialHistogramDataPoint)) {
		md := both("h", 1, 2)
		metrics := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
		change(metrics.At(1).ExponentialHistogram().DataPoints().At(0))
		first := true
		metrics.RemoveIf(func(pmetric.Metric) bool { was := first; first = false; return was })
		e.show(t, md)
	}
	alone(func(dp pmetric.ExponentialHistogramDataPoint) { dp.SetScale(9) })
	alone(func(dp pmetric.ExponentialHistogramDataPoint) { dp.Negative().BucketCounts().FromRaw([]uint64{1}) })
	if e.page.dropped[dropBuckets] != 2 {
		t.Error(e.page.dropped)
	}
	alone(func(pmetric.ExponentialHistogramDataPoint) {})
	if got := describe(protobufHistogram(t, e)); got != "3 7 0 3 0.25 1 5+1 [2]" {
		t.Error(got)
	}
	if text := values(t, e); text != `h_bucket{k="1",le="+Inf"} 3 h_sum{k="1"} 7 h_count{k="1"} 3` {
		t.Error(text)
	}
}
