package main

import (
	"fmt"
	"log"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	countedMetric  = "http_requests_total"
	observedMetric = "http_request_duration_seconds"
	levelMetric    = "http_requests_in_progress"
	// inBucket is the bucket that an observation of 0.08 falls into.
	observation, inBucket = 0.08, 4
)

var observedBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}

// traffic is what the senders of a fleet export: each export is one block of the series, and every point of it stands for one event.
// Even series are counters, odd ones histograms; all senders have the same.
type traffic struct {
	series, points int
	cumulative     bool
}

func newTraffic(o *options) traffic {
	if o.points < 1 || o.series < o.points || o.series%o.points != 0 {
		log.Fatalf("-series %d is no multiple of -points %d: an export is a whole block of the series", o.series, o.points)
	}
	return traffic{o.series, o.points, o.temporality == "cumulative"}
}

func (t traffic) blocks() int { return t.series / t.points }

// export is one block, each of whose points stands at so many events since the sender began to count.
func (t traffic) export(block int, events int64, begun time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	metrics := newScope(md)
	b := builder{now: pcommon.NewTimestampFromTime(time.Now()), start: pcommon.NewTimestampFromTime(begun), events: events}
	b.temporality = pmetric.AggregationTemporalityDelta
	if t.cumulative {
		b.temporality = pmetric.AggregationTemporalityCumulative
	}
	b.begin(metrics)
	for series := block * t.points; series < (block+1)*t.points; series++ {
		b.add(series)
	}
	return md
}

func newScope(md pmetric.Metrics) pmetric.MetricSlice {
	scope := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
	scope.Scope().SetName("telemetry")
	return scope.Metrics()
}

// builder puts an export together.
type builder struct {
	counters    pmetric.Sum
	histograms  pmetric.Histogram
	start, now  pcommon.Timestamp
	events      int64
	temporality pmetric.AggregationTemporality
}

func (b *builder) begin(metrics pmetric.MetricSlice) {
	m := metrics.AppendEmpty()
	m.SetName(countedMetric)
	b.counters = m.SetEmptySum()
	b.counters.SetIsMonotonic(true)
	b.counters.SetAggregationTemporality(b.temporality)
	m = metrics.AppendEmpty()
	m.SetName(observedMetric)
	m.SetUnit("s")
	b.histograms = m.SetEmptyHistogram()
	b.histograms.SetAggregationTemporality(b.temporality)
}

func (b *builder) add(series int) {
	if series%2 == 0 {
		dp := b.counters.DataPoints().AppendEmpty()
		dp.SetStartTimestamp(b.start)
		dp.SetTimestamp(b.now)
		dp.SetDoubleValue(float64(b.events))
		putRoute(dp.Attributes(), series)
		dp.Attributes().PutStr("status_code", "200")
		return
	}
	dp := b.histograms.DataPoints().AppendEmpty()
	dp.SetStartTimestamp(b.start)
	dp.SetTimestamp(b.now)
	dp.ExplicitBounds().FromRaw(observedBounds)
	counts := make([]uint64, len(observedBounds)+1)
	counts[inBucket] = uint64(b.events)
	dp.BucketCounts().FromRaw(counts)
	dp.SetCount(uint64(b.events))
	dp.SetSum(observation * float64(b.events))
	putRoute(dp.Attributes(), series)
}

func putRoute(labels pcommon.Map, series int) {
	labels.PutStr("method", "GET")
	labels.PutStr("endpoint", endpointOf(series))
}

func endpointOf(series int) string { return fmt.Sprintf("/api/v1/resources/%d", series/2) }

// levels is what a process says of the present: so many series of its own.
func levels(n int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := newScope(md).AppendEmpty()
	m.SetName(levelMetric)
	m.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for i := range n {
		dp := m.Sum().DataPoints().AppendEmpty()
		dp.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		dp.SetDoubleValue(1)
		putRoute(dp.Attributes(), 2*i)
	}
	return md
}

// shownAs is the series of the page that a label set becomes, and how many events each of them counts for one.
func shownAs(series int) map[string]int64 {
	labels := fmt.Sprintf(`endpoint="%s",environment="dev"`, endpointOf(series))
	if series%2 == 0 {
		return map[string]int64{fmt.Sprintf(`%s{%s,method="GET",status_code="200"}`, countedMetric, labels): 1}
	}
	shown := map[string]int64{fmt.Sprintf(`%s_count{%s,method="GET"}`, observedMetric, labels): 1}
	for i, bound := range append(observedBounds, 0) {
		le, in := fmt.Sprint(bound), int64(0)
		if i == len(observedBounds) {
			le = "+Inf"
		}
		if i >= inBucket {
			in = 1
		}
		shown[fmt.Sprintf(`%s_bucket{%s,method="GET",le="%s"}`, observedMetric, labels, le)] = in
	}
	return shown
}
