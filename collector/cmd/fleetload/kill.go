package main

import (
	"fmt"
	"math/rand"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	killLabels  = 10
	killBuckets = 4
)

var killBounds = []float64{.1, .5, 1}

// truth is what senders counted.
type truth struct {
	counts  [killLabels]int64
	buckets [killBuckets]int64
}

func (t *truth) add(more *truth) {
	for i, n := range more.counts {
		t.counts[i] += n
	}
	for i, n := range more.buckets {
		t.buckets[i] += n
	}
}

// survived is what `kill` says.
type survived struct {
	Seconds     float64 `json:"seconds"`
	Exports     int64   `json:"exports"`
	Kills       int     `json:"kills"`
	Lost        int64   `json:"answers_lost"`
	Retries     int64   `json:"retries"`
	Truth       int64   `json:"truth"`
	Counted     int64   `json:"counted"`
	Wrong       int     `json:"wrong_series"`
	Scrapes     int     `json:"scrapes"`
	Unavailable int     `json:"scrapes_answered_503"`
	Fell        int     `json:"values_that_fell"`
	Missing     int     `json:"series_that_vanished"`
	SlowestS    float64 `json:"slowest_restart_s"`
}

// killer is one run.
type killer struct {
	options *options
	c       *collector
	target  string
	stop    atomic.Bool
	retries atomic.Int64
	exports atomic.Int64

	mu    sync.Mutex
	truth truth
}

// kill lets senders send while the collector dies again and again and answers are lost, and compares what is shown in the end.
func kill(o *options) (any, bool) {
	k := &killer{options: o, c: newCollector(o)}
	k.c.start()
	defer func() { k.c.kill() }()
	k.c.await()
	way := newLossyWay(k.c.url("HTTP", ""), o.lose, o.seed)
	defer way.close()
	k.target = way.url("/v1/metrics")
	var senders, watching sync.WaitGroup
	for n := range o.senders {
		senders.Go(func() { k.send(n) })
	}
	watch := &watcher{url: k.c.url("TOTALS", "/metrics"), highest: map[string]float64{}}
	watching.Go(func() { watch.run(&k.stop) })
	begun := time.Now()
	result := survived{Kills: 0}
	result.Kills, result.SlowestS = k.killLoop()
	k.stop.Store(true)
	senders.Wait()
	watching.Wait()
	result.Seconds, result.Exports, result.Retries, result.Lost = time.Since(begun).Seconds(), k.exports.Load(), k.retries.Load(), way.lost.Load()
	k.compare(&result, watch)
	return result, result.Wrong == 0 && result.Fell == 0 && result.Missing == 0
}

func (k *killer) killLoop() (kills int, slowest float64) {
	r := rand.New(rand.NewSource(k.options.seed))
	end := time.Now().Add(k.options.seconds)
	if k.options.killEvery == 0 {
		time.Sleep(k.options.seconds)
		return 0, 0
	}
	for time.Now().Before(end) {
		time.Sleep(k.options.killEvery/2 + time.Duration(r.Int63n(int64(k.options.killEvery))))
		k.c.kill()
		kills++
		time.Sleep(time.Duration(r.Intn(300)) * time.Millisecond)
		k.c.start()
		slowest = max(slowest, k.c.await().Seconds())
	}
	return kills, slowest
}

// send is one sender: it repeats an export until it is answered. Some report cumulatively and without numbers, as others' SDKs do.
func (k *killer) send(n int) {
	r := rand.New(rand.NewSource(k.options.seed*1000 + int64(n)))
	name, own := fmt.Sprintf("%d-%d", time.Now().UnixNano(), n), (*truth)(nil)
	if n < k.options.cumulative {
		name, own = "", &truth{}
	} else if !k.options.numbered {
		name = ""
	}
	begun := time.Now()
	for sequence := int64(1); !k.stop.Load(); sequence++ {
		adds := randomTruth(r)
		shown := adds
		if own != nil {
			own.add(&adds)
			shown = *own
		}
		body := requestOf(fmt.Sprint("i", n), name, sequence, points(killExport(n, &shown, own != nil, begun)))
		for {
			status, err := post(k.target, body)
			if err == nil && status == http.StatusOK {
				break
			}
			k.retries.Add(1)
			time.Sleep(time.Duration(20+r.Intn(60)) * time.Millisecond)
		}
		k.exports.Add(1)
		k.mu.Lock()
		k.truth.add(&adds)
		k.mu.Unlock()
		if k.options.pause > 0 {
			time.Sleep(time.Duration(r.Int63n(int64(k.options.pause))))
		}
	}
}

func randomTruth(r *rand.Rand) (t truth) {
	for i := range t.counts {
		t.counts[i] = r.Int63n(6)
	}
	for i := range t.buckets {
		t.buckets[i] = r.Int63n(3)
	}
	return t
}

// killExport differs by sender in whatever must not matter: clocks, number types, scopes, units.
func killExport(n int, shown *truth, cumulative bool, begun time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	scope := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
	scope.Scope().SetName("fleetload")
	scope.Scope().SetVersion(fmt.Sprint(n % 3))
	skew := time.Duration(n-5) * time.Minute
	now, start := pcommon.NewTimestampFromTime(time.Now().Add(skew)), pcommon.NewTimestampFromTime(begun.Add(skew))
	temporality := pmetric.AggregationTemporalityDelta
	if cumulative { // these say when they began by the right clock, or their first point is a baseline
		temporality = pmetric.AggregationTemporalityCumulative
		now, start = pcommon.NewTimestampFromTime(time.Now()), pcommon.NewTimestampFromTime(begun)
	}
	addCounts(scope.Metrics().AppendEmpty(), n, shown, temporality, start, now)
	addBuckets(scope.Metrics().AppendEmpty(), shown, temporality, start, now)
	return md
}

func addCounts(m pmetric.Metric, n int, shown *truth, temporality pmetric.AggregationTemporality, start, now pcommon.Timestamp) {
	m.SetName("kill_total")
	m.SetUnit([]string{"", "1"}[n%2])
	m.SetEmptySum().SetIsMonotonic(true)
	m.Sum().SetAggregationTemporality(temporality)
	for i, v := range shown.counts {
		dp := m.Sum().DataPoints().AppendEmpty()
		dp.SetStartTimestamp(start)
		dp.SetTimestamp(now)
		dp.Attributes().PutStr("n", fmt.Sprint(i))
		if n%2 == 0 {
			dp.SetIntValue(v)
		} else {
			dp.SetDoubleValue(float64(v))
		}
	}
}

func addBuckets(m pmetric.Metric, shown *truth, temporality pmetric.AggregationTemporality, start, now pcommon.Timestamp) {
	m.SetName("kill_seconds")
	m.SetEmptyHistogram().SetAggregationTemporality(temporality)
	dp := m.Histogram().DataPoints().AppendEmpty()
	dp.SetStartTimestamp(start)
	dp.SetTimestamp(now)
	dp.ExplicitBounds().FromRaw(killBounds)
	count := int64(0)
	for _, v := range shown.buckets {
		dp.BucketCounts().Append(uint64(v))
		count += v
	}
	dp.SetCount(uint64(count))
	dp.SetSum(float64(count))
}

// compare waits until the page stands still, and compares it with the truth.
func (k *killer) compare(result *survived, watch *watcher) {
	for range 50 {
		watch.scrape()
		result.Wrong, result.Counted = 0, 0
		for i, want := range k.truth.counts {
			k.compareOne(result, watch, fmt.Sprintf(`kill_total{environment="dev",n="%d"}`, i), want)
		}
		sum := int64(0)
		for i, n := range k.truth.buckets {
			sum += n
			le := "+Inf"
			if i < len(killBounds) {
				le = fmt.Sprint(killBounds[i])
			}
			if got := int64(watch.highest[fmt.Sprintf(`kill_seconds_bucket{environment="dev",le="%s"}`, le)]); got != sum {
				result.Wrong++
			}
		}
		if result.Wrong == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, n := range k.truth.counts {
		result.Truth += n
	}
	result.Scrapes, result.Unavailable, result.Fell, result.Missing = watch.scrapes, watch.unavailable, watch.fell, watch.missing
}

func (k *killer) compareOne(result *survived, watch *watcher, series string, want int64) {
	got := int64(watch.highest[series])
	result.Counted += got
	if got != want {
		result.Wrong++
	}
}
