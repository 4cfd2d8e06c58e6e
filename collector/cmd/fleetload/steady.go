package main

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// steady is what `fleet` says.
type steady struct {
	Senders    int     `json:"senders"`
	Lives      int64   `json:"senders_in_all"`
	Truth      int64   `json:"events"`
	Exports    int64   `json:"exports"`
	Retries    int64   `json:"retries"`
	Lost       int64   `json:"answers_lost"`
	GivenUp    int64   `json:"given_up"` // exports that were not answered for long after the end; whether they were taken is unknown
	ExportSize int64   `json:"bytes_per_export"`
	PerSecond  float64 `json:"points_per_second"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	*atCollector
}

// atCollector is what is seen of a collector of its own.
type atCollector struct {
	Series     int     `json:"series"`
	Wrong      int     `json:"wrong_series"`
	Levels     int     `json:"series_of_levels"`
	Remembered int64   `json:"senders_remembered"`
	CPU        float64 `json:"cpu_percent"`
	Memory     float64 `json:"rss_mib"`
	Scrape     float64 `json:"scrape_ms"`
	Page       float64 `json:"page_mib"`
	Store      float64 `json:"store_mib"`
	Disk       float64 `json:"disk_kb_per_second"`
	Sockets    int     `json:"sockets"`
}

// runFleet lets a fleet send at its pace: to -url, and nothing else is looked at, or to a collector of its own, which is measured.
func runFleet(o *options) (any, bool) {
	if o.url != "" {
		return runElsewhere(o), true
	}
	c := newCollector(o)
	c.start()
	defer func() { c.kill() }()
	c.await()
	target := c.url("HTTP", "/v1/metrics")
	if o.connection == "grpc" {
		target = strings.TrimPrefix(c.url("GRPC", ""), "http://")
	}
	f := newFleet(o, target)
	stop := f.start()
	time.Sleep(o.warm)
	f.forgetLatencies()
	events, seen, begun := f.truth(), look(c), time.Now()
	seen.watch(c, begun.Add(o.seconds))
	took := time.Since(begun).Seconds()
	result := f.result(f.truth()-events, took)
	result.atCollector = seen.finish(c, took)
	stop()
	result.Truth, result.Lives = f.truth(), f.lives.Load()
	result.compare(f, c)
	return result, result.Wrong == 0
}

// runElsewhere sends for its time or until it is told to end, is idle in the middle if so told, and goes on for as long again. Answers are
// lost only if so told.
func runElsewhere(o *options) any {
	target, lost := o.url, func() int64 { return 0 }
	if o.lose > 0 {
		u, err := url.Parse(o.url)
		if err != nil {
			log.Fatal(err)
		}
		way := newLossyWay(u.Scheme+"://"+u.Host, o.lose, o.seed)
		defer way.close()
		target, lost = way.url(u.Path), way.lost.Load
	}
	told, forget := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer forget()
	f := newFleet(o, target)
	stop, begun := f.start(), time.Now()
	rest(told, o.seconds)
	if o.idle > 0 {
		f.paused.Store(true)
		rest(told, o.idle)
		f.paused.Store(false)
		rest(told, o.seconds)
	}
	stop()
	result := f.result(f.truth(), time.Since(begun).Seconds())
	result.Truth, result.Lives, result.Lost, result.GivenUp = f.truth(), f.lives.Load(), lost(), f.givenUp.Load()
	return result
}

func rest(told context.Context, during time.Duration) {
	select {
	case <-told.Done():
	case <-time.After(during):
	}
}

func (f *fleet) result(events int64, seconds float64) *steady {
	latencies := f.forgetLatencies()
	exports := max(f.exports.Load(), 1)
	return &steady{
		Senders: f.options.senders, Exports: f.exports.Load(), Retries: f.retries.Load(), ExportSize: f.bytes.Load() / exports,
		PerSecond: float64(events) / seconds, P50: milliseconds(latencies, 0.5), P99: milliseconds(latencies, 0.99),
	}
}

// seen is what was seen of a collector meanwhile.
type seen struct {
	cpu     float64
	written int64
	memory  []float64
	scrapes []float64
	page    int
	sockets int
}

func look(c *collector) *seen { return &seen{cpu: c.cpu(), written: c.written()} }

// watch looks at it twice a second until a moment; a scrape comes with every other look.
func (s *seen) watch(c *collector, till time.Time) {
	for n := 0; time.Now().Before(till); n++ {
		time.Sleep(500 * time.Millisecond)
		s.memory = append(s.memory, c.memory())
		s.sockets = max(s.sockets, c.sockets())
		if n%2 == 0 {
			took, size := scrapeOnce(c)
			s.scrapes, s.page = append(s.scrapes, took), size
		}
	}
}

func (s *seen) finish(c *collector, seconds float64) *atCollector {
	return &atCollector{
		CPU: (c.cpu() - s.cpu) / seconds * 100, Memory: median(s.memory), Scrape: median(s.scrapes), Page: mebibytes(int64(s.page)),
		Store: mebibytes(sizeOf(c.options.state)), Disk: float64(c.written()-s.written) / seconds / 1000, Sockets: s.sockets,
	}
}

// compare waits until the page stands where it should, and compares every series.
func (a *steady) compare(f *fleet, c *collector) {
	page := &watcher{url: c.url("TOTALS", "/metrics"), highest: map[string]float64{}}
	for range 50 {
		page.scrape()
		if a.Wrong = f.wrong(page.highest); a.Wrong == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	a.Series = len(page.highest)
	now := &watcher{url: c.url("LEVELS", "/metrics"), highest: map[string]float64{}}
	now.scrape()
	own := &watcher{url: c.url("METRICS", "/metrics"), highest: map[string]float64{}}
	own.scrape()
	a.Levels = len(now.highest)
	for name, value := range own.highest {
		if strings.HasPrefix(name, "fleet_totals_senders{") || name == "fleet_totals_senders" {
			a.Remembered = int64(value)
		}
	}
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// sizeOf is the bytes of the files below a directory that are on the disk.
func sizeOf(directory string) (total int64) {
	_ = filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // it went meanwhile
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

// sockets is how many it has open.
func (c *collector) sockets() (n int) {
	directory := fmt.Sprintf("/proc/%d/fd", c.process.Process.Pid)
	files, err := os.ReadDir(directory)
	if err != nil {
		return 0
	}
	for _, file := range files {
		if to, err := os.Readlink(filepath.Join(directory, file.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
