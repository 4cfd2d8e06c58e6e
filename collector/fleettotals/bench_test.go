package fleettotals

import (
	"context"
	"fmt"
	"testing"
)

// load is requests of so many points that together have so many series, over 20 metrics.
func load(series, points int) []request {
	var all []request
	for from := 0; from < series; from += points {
		r := newRequest()
		for i := from; i < from+points; i++ {
			r.count(fmt.Sprintf("load_%02d_total", i%20), 1, "method", "GET", "endpoint", fmt.Sprint("/api/v1/resources/", i/20), "status_code", "200")
		}
		all = append(all, r)
	}
	return all
}

func many(c *Config) { c.Budget.MaxSeries, c.Budget.UnknownSeries = 1_000_000, 1_000_000 }

func BenchmarkConsume(b *testing.B) {
	for _, size := range []struct{ series, points int }{{2_000, 50}, {2_000, 500}, {100_000, 2_000}} {
		b.Run(fmt.Sprint(size.points, " points of ", size.series, " series"), func(b *testing.B) {
			directory := b.TempDir()
			p := begin(b, files(b, directory, 0), newPage(), in(directory), many)
			defer end(b, p)
			requests := load(size.series, size.points)
			for _, r := range requests {
				r.send(b, p)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := p.ConsumeMetrics(context.Background(), requests[n%len(requests)].md); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n*size.points)/b.Elapsed().Seconds(), "points/s")
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	directory := b.TempDir()
	p := begin(b, files(b, directory, 0), newPage(), in(directory), many)
	for _, r := range load(100_000, 2_000) {
		r.send(b, p)
	}
	end(b, p)
	b.ReportAllocs()
	for b.Loop() {
		p, err := newStopped(in(directory), many)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.readFile(); err != nil {
			b.Fatal(err)
		}
	}
}
