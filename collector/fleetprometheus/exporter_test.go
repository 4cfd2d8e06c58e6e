package fleetprometheus

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fleet-telemetry/collector/internal/budget"
	"github.com/fleet-telemetry/collector/internal/handover"
)

// Until the totals are complete there is no page, and from then on there always is one.
func TestNoPageBeforeTheTotalsAreThere(t *testing.T) {
	e := filled(t, func(c *Config) { c.WaitForTotals = true })
	r := get(e)
	if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body(t, r), "being restored") {
		t.Error(r.StatusCode)
	}
	e.show(t, handover.Complete())
	e.show(t, gauge("g", 1))
	if r := get(e); r.StatusCode != http.StatusOK {
		t.Error(r.StatusCode)
	}
}

// A series without reports expires, and its family with the last one; 0 is never.
func TestExpiration(t *testing.T) {
	now := time.Now()
	for expiration, want := range map[time.Duration]string{time.Minute: "g 2", 0: "g 2 h 1"} {
		e := begin(t, func(c *Config) { c.Expiration = expiration })
		e.page.now = func() time.Time { return now }
		e.show(t, gauge("h", 1), gauge("g", 1))
		now = now.Add(59 * time.Second)
		e.show(t, gauge("g", 2))
		if got := values(t, e); got != "g 2 h 1" {
			t.Error(got)
		}
		now = now.Add(2 * time.Second)
		if got := values(t, e); got != want {
			t.Errorf("after %s: %s, not %s", expiration, got, want)
		}
	}
}

// A point without a value takes its series off the page.
func TestNoValue(t *testing.T) {
	e := begin(t)
	e.show(t, gauge("g", 1), gauge("g", 2, "k", "1"))
	gone := gauge("g", 0, "k", "1")
	gone.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).SetFlags(
		pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	e.show(t, gone)
	if got := values(t, e); got != "g 1" {
		t.Error(got)
	}
}

// What cannot stand on a page together does not: the first one stays, the other one is counted by its reason.
func TestConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		first, second pmetric.Metrics
		reason        reason
	}{
		"another kind":              {gauge("x", 1), counter("x", 1), dropKind},
		"a histogram's bucket":      {histogram("x", 1, nil, []uint64{1}), gauge("x_bucket", 1), dropName},
		"a histogram of a count":    {counter("x_count", 1), histogram("x", 1, nil, []uint64{1}), dropName},
		"a counter's base":          {counter("x_total", 1), gauge("x", 1), dropName},
		"bounds that do not ascend": {gauge("y", 1), histogram("x", 1, []float64{2, 1}, []uint64{1, 1, 1}), dropBuckets},
		"a bound that is the end":   {gauge("y", 1), histogram("x", 1, []float64{math.Inf(1)}, []uint64{1, 1}), dropBuckets},
		"not UTF-8":                 {gauge("y", 1), gauge("x", 1, "k", "\xff"), dropText},
		"no name":                   {gauge("y", 1), gauge("", 1), dropName},
	} {
		e := begin(t)
		e.show(t, c.first, c.second)
		if e.page.dropped[c.reason] != 1 {
			t.Error(name, e.page.dropped)
		}
		check(t, e)
	}
}

// Names that become one by escaping are one series, the last report of it.
func TestEscapedNamesAreOne(t *testing.T) {
	e := begin(t)
	e.show(t, gauge("a.b", 1, "x.y", "1"), gauge("a_b", 2, "x_y", "1"), gauge("a_b", 3, "x.y", "2", "x_y", "3"))
	if got := values(t, e); got != `a_b{x_y="1"} 2 a_b{x_y="2;3"} 3` {
		t.Error(got)
	}
}

// Beyond its budget a metric gets no new series, those that are there go on, and others have their room.
func TestBudget(t *testing.T) {
	e := begin(t, func(c *Config) {
		c.KnownMetrics = []string{"known", "other"}
		c.Budget = &budget.Config{MaxSeries: 20, SeriesPerMetric: 5, ReservedSeries: 5, UnknownSeries: 5, UnknownNames: 2}
	})
	for n := range 100 {
		e.show(t, gauge("known", 1, "k", fmt.Sprint(n)), gauge(fmt.Sprint("unknown", n), 1), gauge("unknown0", 1, "k", fmt.Sprint(n)))
	}
	e.show(t, gauge("known", 7, "k", "0"), gauge("other", 1))
	got := values(t, e)
	if !strings.Contains(got, `known{k="0"} 7`) || !strings.Contains(got, "other 1") || e.page.series > 15 || len(e.page.families) != 4 {
		t.Error(e.page.series, len(e.page.families), got)
	}
}

// More pages at once than may be are told to wait; one that takes too long is cut off for the next.
func TestScrapesAreBounded(t *testing.T) {
	e := filled(t, func(c *Config) { c.MaxScrapes = 1 })
	at, cut := time.Now(), 0
	e.scrapes.now = func() time.Time { return at }
	slow := e.scrapes.begin(func() { cut++ })
	if r := get(e); r.StatusCode != http.StatusServiceUnavailable || cut != 0 {
		t.Error(r.StatusCode, cut)
	}
	at = at.Add(e.config.YieldAfter)
	if r := get(e); r.StatusCode != http.StatusOK || cut != 1 {
		t.Error(r.StatusCode, cut)
	}
	e.scrapes.end(slow)
	quick := e.scrapes.begin(func() { cut++ })
	e.scrapes.end(quick)
	if r := get(e); r.StatusCode != http.StatusOK || cut != 1 {
		t.Error(r.StatusCode, cut)
	}
}

// Whatever is shown, the page is valid, in text and in OpenMetrics.
func TestAnyPageIsValid(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	words := []string{"a", "b", "a.b", "a_b", "le", "", "é", "x\xff", "__name__", "a_total", "a_bucket", "a\nb", "1", "_", "quantile"}
	word := func() string { return words[r.Intn(len(words))] }
	for range 200 {
		e := begin(t)
		for range 30 {
			labels := []string{word(), word(), word(), word()}
			switch r.Intn(3) {
			case 0:
				e.show(t, gauge(word(), r.NormFloat64(), labels...))
			case 1:
				e.show(t, counter(word(), r.Float64(), labels...))
			default:
				e.show(t, histogram(word(), r.Float64(), []float64{1, 2}, []uint64{1, 2, 3}, labels...))
			}
		}
		check(t, e)
	}
}

// Every setting is read, those of the HTTP server too, and mistakes are told together.
func TestConfig(t *testing.T) {
	config := defaultConfig().(*Config)
	settings := map[string]any{
		"endpoint": "127.0.0.1:1", "wait_for_totals": true, "expiration": "60s", "created_lines": true, "max_scrapes": 2, "yield_after": "3s",
		"known_metrics": []any{"a"}, "budget": map[string]any{"max_series": 9},
	}
	if err := confmap.NewFromStringMap(settings).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	if config.Server.NetAddr.Endpoint != "127.0.0.1:1" || !config.WaitForTotals || config.Expiration != time.Minute || !config.CreatedLines ||
		config.MaxScrapes != 2 || config.YieldAfter != 3*time.Second || len(config.KnownMetrics) != 1 || config.Budget.MaxSeries != 9 {
		t.Errorf("%+v", config)
	}
	config.Server.NetAddr.Endpoint, config.Expiration, config.MaxScrapes, config.YieldAfter = "", -1, 0, 0
	for _, part := range []string{"endpoint:", "expiration:", "max_scrapes:", "yield_after:", "budget: unknown_series: 0"} {
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not told in %v", part, err)
		}
	}
}

// It listens, answers over HTTP and ends.
func TestServesAndEnds(t *testing.T) {
	e := begin(t, func(c *Config) { c.Expiration = time.Minute })
	if err := e.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}
