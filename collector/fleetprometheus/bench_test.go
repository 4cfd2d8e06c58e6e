package fleetprometheus

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

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
