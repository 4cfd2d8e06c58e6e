package fleettotals

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// exponential adds a delta of an exponential histogram.
func (r request) exponential(metric string, scale, offset int32, zeros uint64, counts ...uint64) request {
	m := r.rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	dp := m.ExponentialHistogram().DataPoints().AppendEmpty()
	dp.SetScale(scale)
	dp.SetZeroCount(zeros)
	dp.Positive().SetOffset(offset)
	dp.Positive().BucketCounts().FromRaw(counts)
	dp.SetSum(1)
	return r
}

// cumulatively makes the last metric of an export one that says all since its start.
func (r request) cumulatively(start, at int64) request {
	m := r.rm.ScopeMetrics().At(r.rm.ScopeMetrics().Len() - 1).Metrics().At(0).ExponentialHistogram()
	m.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	m.DataPoints().At(0).SetStartTimestamp(pcommon.Timestamp(start))
	m.DataPoints().At(0).SetTimestamp(pcommon.Timestamp(at))
	m.DataPoints().At(0).SetSum(float64(at))
	return r
}

// shown is the histogram of a name as it is handed on, with buckets and as an exponential one.
func shown(t *testing.T, p *totals, name string) (classic, native string) {
	t.Helper()
	sink := &consumertest.MetricsSink{}
	p.next = sink
	p.markDirty(slices.Collect(func(yield func(*series) bool) {
		for _, s := range p.metrics[name].series {
			yield(s)
		}
	}))
	p.emit(context.Background())
	for _, m := range sink.AllMetrics()[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		switch m.Type() {
		case pmetric.MetricTypeHistogram:
			dp := m.Histogram().DataPoints().At(0)
			classic = fmt.Sprint(dp.ExplicitBounds().AsRaw(), dp.BucketCounts().AsRaw(), dp.Count(), dp.Sum())
		case pmetric.MetricTypeExponentialHistogram:
			dp := m.ExponentialHistogram().DataPoints().At(0)
			native = fmt.Sprint(dp.Scale(), dp.ZeroCount(), dp.Positive().Offset(), dp.Positive().BucketCounts().AsRaw(), dp.Count(), dp.Sum())
		}
	}
	return classic, native
}

func expectShown(t *testing.T, p *totals, wantClassic, wantNative string) {
	t.Helper()
	if classic, native := shown(t, p, "h"); classic != wantClassic || native != wantNative {
		t.Errorf("shown are\n  %s and %s\nnot\n  %s and %s", classic, native, wantClassic, wantNative)
	}
}

func declared(bounds ...float64) edit {
	return func(c *Config) { c.KnownMetrics = map[string]KnownMetric{"h": {Bounds: bounds}} }
}

// Exponential histograms of several senders and scales are one series, over a restart; by the bounds that the metric is known to have, a
// count is never below where it belongs.
func TestExponentialHistogramsAddUp(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage(), declared(1, 2.5, 8))
	newRequest().from("a", 1).exponential("h", 3, 0, 1, 1, 0, 2).send(t, p) // in (1, 1.09] and (1.18, 1.3]
	newRequest().from("a", 1).exponential("h", 3, 0, 1, 1, 0, 2).send(t, p) // again
	newRequest().from("b", 1).exponential("h", 5, 0, 0, 1, 1, 1, 1).send(t, p)
	newRequest().from("c", 1).exponential("h", 3, 10, 0, 7).send(t, p) // in (2.38, 2.59]
	want := [2]string{"[1 2.5 8] [1 7 7 0] 15 3", "3 1 0 [5 0 2 0 0 0 0 0 0 0 7] 15 3"}
	expectShown(t, p, want[0], want[1])
	p = begin(t, m.Copy(), newPage(), declared(1, 2.5, 8))
	expectShown(t, p, want[0], want[1])
	newRequest().from("c", 2).exponential("h", 3, 10, 0, 1).send(t, p)
	expectShown(t, p, "[1 2.5 8] [1 7 8 0] 16 4", "3 1 0 [5 0 2 0 0 0 0 0 0 0 8] 16 4")
}

// While senders change from buckets to exponential ones, both count in one series, which is shown as both.
func TestBothKindsOfHistograms(t *testing.T) {
	p := begin(t, memory(), newPage(), declared(1, 4))
	newRequest().observe("h", []float64{1, 4}, 1, 2, 3).send(t, p)
	expectShown(t, p, "[1 4] [1 2 3] 6 1", "")
	newRequest().exponential("h", 3, 7, 0, 10).send(t, p) // in (1.83, 2]
	expectShown(t, p, "[1 4] [1 12 3] 16 2", "3 0 -1 [1 0 0 0 0 0 0 0 10 0 0 0 0 0 0 0 2 3] 16 2")
}

// A sender that reports cumulatively may have more buckets each time, and join them: the differences are what it has counted.
func TestCumulativeExponentialHistogram(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage())
	born := p.ledger.Identity().Birth
	send := func(at int64, scale, offset int32, counts ...uint64) {
		newRequest().exponential("h", scale, offset, 0, counts...).cumulatively(born+1, born+at).send(t, p)
	}
	send(10, 3, 0, 1)
	send(20, 3, 0, 1, 0, 4)
	p = begin(t, m.Copy(), newPage())
	send(30, 3, 0, 2, 0, 5)
	send(40, 0, 0, 9)  // joined: 2 more than before
	send(50, 0, 0, 10) // and one more
	if _, native := shown(t, p, "h"); native != fmt.Sprintf("3 0 0 [2 0 5 0 0 0 0 3] 10 %v", float64(born+50)) {
		t.Error(native)
	}
	send(60, 0, 0, 1) // restarted
	if got := p.metrics["h"]; len(got.series) != 1 || sumTotal(got) != 11 {
		t.Error(sumTotal(got))
	}
}

func sumTotal(m *metric) (n uint64) {
	for _, s := range m.series {
		n += s.total
	}
	return n
}

// However many buckets a sender has, a series has no more than it may: no count is lost.
func TestNativeBucketsAreBounded(t *testing.T) {
	p := begin(t, memory(), newPage(), func(c *Config) { c.MaxNativeBuckets = 20 })
	many := make([]uint64, 5000)
	for i := range many {
		many[i] = 1
	}
	for range 3 {
		newRequest().exponential("h", 3, -400, 0, many...).send(t, p)
	}
	for _, s := range p.metrics["h"].series {
		if len(s.bounds) > 20 || s.total != 15_000 {
			t.Error(len(s.bounds), s.total)
		}
	}
}
