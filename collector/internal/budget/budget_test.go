package budget

import (
	"math/rand"
	"strings"
	"testing"
)

// Whatever is taken and returned, each known metric can have its reserve, none more than its limit, and all no more than the bound.
func TestAccountsKeepTheirPromises(t *testing.T) {
	config := Config{MaxSeries: 100, SeriesPerMetric: 60, SeriesByMetric: map[string]int{"b": 5}, ReservedSeries: 10, UnknownSeries: 50, UnknownNames: 3}
	known := []string{"a", "b", "c"}
	if err := config.Check(known); err != nil {
		t.Fatal(err)
	}
	b := New(config, known)
	r := rand.New(rand.NewSource(1))
	for range 10_000 {
		a := b.Account([]string{"a", "b", "c", "u"}[r.Intn(4)])
		if r.Intn(3) == 0 && a.Used > 0 {
			b.Return(a)
			continue
		}
		reserved := a.Used < a.reserve
		if !b.Take(a) && reserved {
			t.Fatalf("%s cannot have its reserve", a.Metric)
		}
		used := 0
		for _, a := range b.Accounts() {
			used += max(a.Used, a.reserve)
			if a.Used > a.Limit {
				t.Fatalf("%s has %d series of %d", a.Metric, a.Used, a.Limit)
			}
		}
		if used > config.MaxSeries {
			t.Fatal(used, "series or reserves")
		}
	}
}

// Unknown names are few, known ones are always admitted.
func TestNames(t *testing.T) {
	b := New(Config{MaxSeries: 10, SeriesPerMetric: 5, UnknownSeries: 5, UnknownNames: 2}, []string{"known"})
	for _, c := range []struct {
		name string
		want bool
	}{{"x", true}, {"known", true}, {"y", true}, {"z", false}, {"known", true}} {
		if b.TakeName(c.name) != c.want {
			t.Error(c)
		}
	}
	b.ReturnName("x")
	if !b.TakeName("z") {
		t.Error("a name that was given back is not free")
	}
}

// Each mistake of the configuration is told at once, with its remedy.
func TestMistakesAreTold(t *testing.T) {
	err := Config{MaxSeries: 5, SeriesPerMetric: 0, SeriesByMetric: map[string]int{"x": 1}, ReservedSeries: 10, UnknownSeries: 6, UnknownNames: 1}.Check([]string{"a"})
	for _, part := range []string{"series_per_metric: 0", "series_by_metric: x", "max_series: 5"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not told in %v", part, err)
		}
	}
	if err := Default().Check([]string{"a", "b"}); err != nil {
		t.Error(err)
	}
}
