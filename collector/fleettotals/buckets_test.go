package fleettotals

import "testing"

// Bounds grow to all that senders use, and each count stays at its own bound; beyond the limit it goes to the next one up.
func TestBoundsGrowAndStayExact(t *testing.T) {
	m, shown := memory(), newPage()
	few := func(c *Config) { c.MaxBuckets = 4 }
	p := begin(t, m, shown, few)
	for _, r := range []request{
		newRequest().observe("h", []float64{1, 5}, 1, 2, 3),
		newRequest().observe("h", []float64{1, 2, 5}, 1, 1, 1, 1),         // a refinement
		newRequest().observe("h", []float64{5, 10}, 4, 1, 1),              // overlaps
		newRequest().observe("h", []float64{3, 4, 20, 30}, 1, 1, 1, 1, 1), // too many
	} {
		r.send(t, p)
	}
	want := "h{environment=dev} [1 2 5 10] [2 1 9 1 8] 4"
	expect(t, p, want)
	if p.tally.rebucketed != 1 {
		t.Error(p.tally.rebucketed, "rebucketed")
	}
	p = begin(t, m.Copy(), shown, few)
	expect(t, p, want)
	newRequest().observe("h", []float64{2}, 1, 0).send(t, p)
	expect(t, p, "h{environment=dev} [1 2 5 10] [2 2 9 1 8] 5")
	end(t, p)
	if len(shown.fell) > 0 {
		t.Error(shown.fell)
	}
}

// The bounds of a known histogram have their place, whatever a stranger sent first.
func TestKnownBoundsAreKept(t *testing.T) {
	p := begin(t, memory(), newPage(), func(c *Config) {
		c.MaxBuckets = 3
		c.KnownMetrics = map[string]KnownMetric{"h": {Bounds: []float64{1, 2}}}
	})
	newRequest().observe("h", []float64{0.1, 0.2, 0.3}, 1, 1, 1, 1).send(t, p)
	newRequest().observe("h", []float64{1, 2}, 1, 1, 1).send(t, p)
	expect(t, p, "h{environment=dev} [1 2] [4 1 2] 2")
}

// A first point with more bounds than there may be keeps some of them, evenly, and the last one.
func TestTooManyBoundsAreThinned(t *testing.T) {
	p := begin(t, memory(), newPage(), func(c *Config) { c.MaxBuckets = 3 })
	newRequest().observe("h", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1).send(t, p)
	expect(t, p, "h{environment=dev} [3 6 9] [3 3 3 1] 1")
}

// Two bounds of a series that grow in two commits under way are both there in the end.
func TestBoundsGrowWhileACommitIsUnderWay(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage())
	newRequest().observe("h", []float64{1}, 1, 0).send(t, p)
	together(t, m, p,
		newRequest().observe("h", []float64{1, 2}, 0, 1, 0),
		newRequest().observe("h", []float64{1, 3}, 0, 1, 1))
	want := "h{environment=dev} [1 2 3] [1 1 1 1] 3"
	expect(t, p, want)
	expect(t, begin(t, m.Copy(), newPage()), want)
}
