package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"sync"
	"time"
)

// measured is what `load` says.
type measured struct {
	Senders   int     `json:"senders"`
	Points    int     `json:"points_per_export"`
	Series    int     `json:"series"`
	PerSecond float64 `json:"points_per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Refused   int     `json:"refused"`
	CPU       float64 `json:"cpu_us_per_point"`
	Memory    float64 `json:"rss_mib"`
	Scrape    float64 `json:"scrape_ms"`
	ScrapeMiB float64 `json:"scrape_mib"`
	Restart   float64 `json:"restart_s"`
	Restarted float64 `json:"rss_mib_after_restart"`
}

// load sends as fast as the answers come, then looks at what is left of it.
func load(o *options) any {
	c := newCollector(o)
	c.start()
	defer func() { c.kill() }()
	c.await()
	var payloads [][]byte
	for from := 0; from < max(o.series, 1); from += o.points {
		payloads = append(payloads, points(loadOf(o, from)))
	}
	send(o, c, payloads, time.Second) // every series is there
	before := c.cpu()
	begun := time.Now()
	latencies, refused := send(o, c, payloads, o.seconds)
	took := time.Since(begun).Seconds()
	m := measured{
		Senders: o.senders, Points: o.points, Series: o.series, Refused: refused,
		PerSecond: float64(len(latencies)*o.points) / took,
		P50:       milliseconds(latencies, 0.5), P99: milliseconds(latencies, 0.99),
		CPU: (c.cpu() - before) * 1e6 / float64(len(latencies)*o.points),
	}
	time.Sleep(2 * time.Second) // for what is handed on at intervals
	m.Memory = c.memory()
	var size int
	m.Scrape, size = scrapeTime(c)
	m.ScrapeMiB = float64(size) / (1 << 20)
	c.kill()
	c.start()
	m.Restart = c.await().Seconds()
	m.Restarted = c.memory()
	return m
}

func send(o *options, c *collector, payloads [][]byte, during time.Duration) (latencies []time.Duration, refused int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	end := time.Now().Add(during)
	for k := range o.senders {
		all.Go(func() {
			sender := fmt.Sprintf("%d-%d", time.Now().UnixNano(), k)
			if !o.numbered {
				sender = ""
			}
			var own []time.Duration
			failures := 0
			for n := 0; time.Now().Before(end); n++ {
				body := requestOf(fmt.Sprint("i", k), sender, int64(n+1), payloads[(n*o.senders+k)%len(payloads)])
				begun := time.Now()
				status, err := post(c.url("HTTP", "/v1/metrics"), body)
				if err != nil {
					log.Fatal(err)
				}
				if status != http.StatusOK {
					failures++
					continue
				}
				own = append(own, time.Since(begun))
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			refused += failures
		})
	}
	all.Wait()
	return latencies, refused
}

func milliseconds(all []time.Duration, quantile float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[int(quantile*float64(len(all)-1))].Microseconds()) / 1000
}

// scrapeTime is how long a page takes, the best of three.
func scrapeTime(c *collector) (ms float64, size int) {
	ms, size = scrapeOnce(c)
	for range 2 {
		took, _ := scrapeOnce(c)
		ms = min(ms, took)
	}
	return ms, size
}

// scrapeOnce is how long a page takes, as Prometheus 3 asks for it, and its bytes.
func scrapeOnce(c *collector) (ms float64, size int) {
	r, err := http.NewRequest(http.MethodGet, c.url("TOTALS", "/metrics"), nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	begun := time.Now()
	answer, err := client.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	return float64(time.Since(begun).Microseconds()) / 1000, len(page)
}
