package fleettotals

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// link adds an exemplar to the last histogram of an export, of a span with this number.
func (r request) link(value float64, at time.Time, number byte) request {
	e := lastOf(r.rm.ScopeMetrics()).Exemplars().AppendEmpty()
	e.SetDoubleValue(value)
	e.SetTimestamp(pcommon.NewTimestampFromTime(at))
	e.FilteredAttributes().PutStr("user", "alice")
	if number > 0 {
		e.SetTraceID(pcommon.TraceID{15: number})
		e.SetSpanID(pcommon.SpanID{7: number})
	}
	return r
}

func lastOf(scopes pmetric.ScopeMetricsSlice) pmetric.HistogramDataPoint {
	return scopes.At(scopes.Len() - 1).Metrics().At(0).Histogram().DataPoints().At(0)
}

// links is what is handed on as exemplars, each as value and number of its span.
func links(p *totals) string {
	sink := &consumertest.MetricsSink{}
	p.next = sink
	p.emit(context.Background())
	var all []string
	for _, md := range sink.AllMetrics() {
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			for _, dp := range m.Histogram().DataPoints().All() {
				for _, e := range dp.Exemplars().All() {
					all = append(all, fmt.Sprint(e.DoubleValue(), " ", e.TraceID()[15], e.SpanID()[7], e.FilteredAttributes().Len()))
				}
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// The newest exemplar of each bucket of the whole fleet is handed on, with its ids and without its attributes; one without a trace leads
// nowhere.
func TestNewestExemplarOfEachBucket(t *testing.T) {
	p := begin(t, memory(), newPage())
	now, bounds := time.Now().Add(-time.Minute), []float64{1, 2}
	newRequest().observe("h", bounds, 1, 1, 1).link(0.5, now, 1).link(1.5, now, 2).link(9, now, 0).send(t, p)
	newRequest().observe("h", bounds, 2, 0, 0).link(1, now.Add(time.Second), 3).link(1, now.Add(-time.Second), 4).send(t, p)
	newRequest().observe("h", bounds, 1, 0, 0).link(math.NaN(), now, 5).link(math.Inf(1), now, 6).send(t, p)
	if got := links(p); got != "1 3 3 0; 1.5 2 2 0" {
		t.Error(got)
	}
}

// An exemplar from the future is of now: it does not keep those of senders whose clocks are right from being the newest.
func TestExemplarFromTheFuture(t *testing.T) {
	p := begin(t, memory(), newPage())
	newRequest().observe("h", nil, 1).link(1, time.Now().Add(time.Hour), 1).send(t, p)
	newRequest().observe("h", nil, 1).link(2, time.Now().Add(time.Second), 2).send(t, p)
	if got := links(p); got != "2 2 2 0" {
		t.Error(got)
	}
}

// An export that comes again, and one that reports nothing new, brings no exemplar.
func TestExemplarsOfARepeat(t *testing.T) {
	p := begin(t, memory(), newPage())
	newRequest().from("a", 1).observe("h", nil, 1).send(t, p)
	newRequest().from("a", 1).observe("h", nil, 1).link(1, time.Now(), 1).send(t, p)
	if got := links(p); got != "" {
		t.Error(got)
	}
}

// Exemplars are bounded: one too many, and they are collected anew; with a bound of 0 there are none. No count is touched.
func TestExemplarsAreBounded(t *testing.T) {
	few := func(c *Config) { c.MaxExemplars = 2 }
	p := begin(t, memory(), newPage(), few)
	for n := range byte(3) {
		r := newRequest().observe("h", nil, 1)
		lastOf(r.rm.ScopeMetrics()).Attributes().PutStr("n", fmt.Sprint(n))
		r.link(1, time.Now(), n+1).send(t, p)
	}
	if p.linked.kept != 0 || len(p.linked.series) != 0 {
		t.Error(p.linked.kept, "are kept")
	}
	r := newRequest().observe("h", nil, 1)
	lastOf(r.rm.ScopeMetrics()).Attributes().PutStr("n", "0")
	r.link(1, time.Now(), 9).send(t, p)
	if got := links(p); got != "1 9 9 0" {
		t.Error(got)
	}
	expect(t, p, "h{environment=dev,n=0} [] [2] 2; h{environment=dev,n=1} [] [1] 1; h{environment=dev,n=2} [] [1] 1")
	none := begin(t, memory(), newPage(), func(c *Config) { c.MaxExemplars = 0 })
	newRequest().observe("h", nil, 1).link(1, time.Now(), 1).send(t, none)
	if got := links(none); got != "" {
		t.Error(got)
	}
}

// Exemplars are no part of what is stored: after a restart the totals are there, and links come with the next values.
func TestExemplarsAreNotStored(t *testing.T) {
	m := memory()
	newRequest().observe("h", nil, 1).link(1, time.Now(), 1).send(t, begin(t, m, newPage()))
	p := begin(t, m.Copy(), newPage())
	expect(t, p, "h{environment=dev} [] [1] 1")
	if p.linked.kept != 0 {
		t.Error(p.linked.kept)
	}
}
