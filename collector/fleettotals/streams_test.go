package fleettotals

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// cumulative is the sum of a sender that reports cumulatively.
func cumulative(start, at int64, value float64) request {
	r := newRequest().count("c", value)
	sum := r.rm.ScopeMetrics().At(0).Metrics().At(0).Sum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	sum.DataPoints().At(0).SetStartTimestamp(pcommon.Timestamp(start))
	sum.DataPoints().At(0).SetTimestamp(pcommon.Timestamp(at))
	return r
}

// What a cumulative sender counted since its last point counts, over restarts of ours and of its own.
func TestCumulativeSender(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage())
	born := p.ledger.Identity().Birth
	cumulative(born+1, born+10, 5).send(t, p) // new: as a whole
	cumulative(born+1, born+10, 5).send(t, p) // repeated
	cumulative(born+1, born+20, 7).send(t, p)
	p = begin(t, m.Copy(), newPage())
	cumulative(born+1, born+30, 10).send(t, p)  // goes on over our restart
	cumulative(born+40, born+50, 2).send(t, p)  // restarted
	cumulative(born+1, born+25, 9).send(t, p)   // overtaken
	cumulative(born+40, born+60, 3).send(t, p)  // goes on
	cumulative(born+40, born+70, 1).send(t, p)  // restarted, and says that it was not
	cumulative(born+40, born+80, 11).send(t, p) // goes on
	expect(t, p, "c{environment=dev} 24")
}

// A stream that began before the store only says where it stands.
func TestOldCumulativeSenderIsABaseline(t *testing.T) {
	p := begin(t, memory(), newPage())
	born := p.ledger.Identity().Birth
	cumulative(born-1, born+10, 1_000).send(t, p)
	cumulative(born-1, born+20, 1_001).send(t, p)
	cumulative(0, born+10, 500).send(t, p)
	cumulative(0, born+20, 502).send(t, p)
	expect(t, p, "c{environment=dev} 3")
}

// Two processes that differ in nothing but when they began are two streams.
func TestTwoCumulativeSendersOfOneResource(t *testing.T) {
	p := begin(t, memory(), newPage())
	born := p.ledger.Identity().Birth
	for i := range int64(10) {
		cumulative(born+1, born+10*i+10, float64(i+1)).send(t, p)
		cumulative(born+2, born+10*i+11, float64(100*(i+1))).send(t, p)
	}
	expect(t, p, "c{environment=dev} 1010")
}

// A histogram that reports cumulatively: differences of each bucket; a fallen bucket is a restart, other bounds are one, too.
func TestCumulativeHistogram(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage())
	born := p.ledger.Identity().Birth
	send := func(at int64, bounds []float64, counts ...uint64) {
		r := newRequest().observe("h", bounds, counts...)
		h := r.rm.ScopeMetrics().At(0).Metrics().At(0).Histogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		h.DataPoints().At(0).SetStartTimestamp(pcommon.Timestamp(born + 1))
		h.DataPoints().At(0).SetTimestamp(pcommon.Timestamp(born + at))
		r.send(t, p)
	}
	send(10, []float64{1}, 1, 1)
	send(20, []float64{1}, 3, 2)
	p = begin(t, m.Copy(), newPage())
	send(30, []float64{1}, 3, 3)
	send(40, []float64{1}, 4, 0)
	send(50, []float64{1, 2}, 1, 0, 0)
	expect(t, p, "h{environment=dev} [1 2] [8 0 3] 3")
}

// A stream that was forgotten to make room is taken from where it stands when it comes again, not counted twice.
func TestForgottenStreamIsABaseline(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage(), func(c *Config) { c.MaxStreams = 1 })
	born := time.Now().UnixNano()
	cumulative(born+1, born+10, 5).send(t, p)
	cumulative(born+2, born+10, 6).send(t, p)
	p = begin(t, m.Copy(), newPage(), func(c *Config) { c.MaxStreams = 1 })
	cumulative(born+1, born+20, 7).send(t, p)
	cumulative(born+1, born+30, 8).send(t, p)
	expect(t, p, "c{environment=dev} 12")
}
