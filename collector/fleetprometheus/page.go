package fleetprometheus

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fleet-telemetry/collector/internal/budget"
	"github.com/fleet-telemetry/collector/internal/exemplars"
	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// page is everything that is shown.
type page struct {
	expiration time.Duration
	now        func() time.Time
	begun      time.Time

	mu       sync.Mutex
	families map[string]*family
	claims   pagename.Claims
	budget   *budget.Budget // or none
	encoder  labels.Encoder
	text     []byte
	series   int64
	links    int // exemplars
	dropped  drops
}

// family is all series of one name.
type family struct {
	name, help string
	kind       pagename.Kind
	account    *budget.Account
	series     map[labels.Set]*series
	sorted     []*series // in the order of the page; none if it has to be made anew
	bounds     [][]float64
}

// series is the last report of one label set.
type series struct {
	set   labels.Set
	value float64 // of a histogram, its sum
	hist  *buckets
	links exemplars.Set

	native *native // the same as an exponential histogram, if that is known
	start  int64   // unix nanoseconds; 0 if unknown
	seen   time.Duration
}

// buckets are the bounds of a histogram and the count of each bucket.
type buckets struct {
	bounds []float64
	counts []uint64
}

const (
	// What a page can show of a label set; tighter bounds are the processors'.
	maxLabels     = 256
	maxLabelBytes = 64 << 10
	// maxSharedBounds is how many sets of bounds of a family its series share.
	maxSharedBounds = 8
	// maxExemplars is how many exemplars a page has; beyond it, series are shown without.
	maxExemplars = 100_000
)

func newPage(config *Config, now func() time.Time) *page {
	p := &page{
		expiration: config.Expiration, now: now, begun: now(), families: map[string]*family{}, claims: pagename.Claims{},
		encoder: labels.Encoder{MaxLabels: maxLabels, MaxBytes: maxLabelBytes},
	}
	if config.Budget != nil {
		p.budget = budget.New(*config.Budget, config.KnownMetrics)
	}
	return p
}

// age is the time since the page was made; no step of the clock changes it.
func (p *page) age() time.Duration { return p.now().Sub(p.begun) }

// family is that of a metric, made if it may be; the page is locked.
func (p *page) family(name, help string, kind pagename.Kind) (*family, reason) {
	f := p.families[name]
	switch {
	case f != nil && f.kind != kind:
		return nil, dropKind
	case f != nil:
		return f, 0
	case !p.claims.Take(name, kind):
		return nil, dropName
	}
	f = &family{name: name, help: help, kind: kind, series: map[labels.Set]*series{}}
	if p.budget != nil {
		if !p.budget.TakeName(name) {
			p.claims.Release(name, kind)
			return nil, dropNames
		}
		f.account = p.budget.Account(name)
	}
	p.families[name] = f
	return f, 0
}

// find is the series of a label set, made if it may be; the page is locked.
func (p *page) find(f *family, set []byte) (*series, reason) {
	if s := f.series[labels.Set(set)]; s != nil {
		return s, 0
	}
	if !labels.Set(set).Valid() {
		return nil, dropText
	}
	if p.budget != nil && !p.budget.Take(f.account) {
		return nil, dropBudget
	}
	s := &series{set: labels.Set(set)}
	f.series[s.set] = s
	f.sorted = nil
	p.series++
	return s, 0
}

// forget takes a series off the page; the page is locked.
func (p *page) forget(f *family, s *series) {
	delete(f.series, s.set)
	f.sorted = nil
	p.series--
	p.links -= len(s.links)
	if p.budget != nil {
		p.budget.Return(f.account)
	}
	p.forgetEmpty(f)
}

// forgetEmpty takes a family without series off the page: a page with a name and no values is invalid.
func (p *page) forgetEmpty(f *family) {
	if len(f.series) > 0 {
		return
	}
	delete(p.families, f.name)
	p.claims.Release(f.name, f.kind)
	if p.budget != nil {
		p.budget.ReturnName(f.name)
	}
}

// sweep forgets what was not reported for too long.
func (p *page) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expiration == 0 {
		return
	}
	oldest := p.age() - p.expiration
	for _, f := range p.families {
		for _, s := range f.series {
			if s.seen < oldest {
				p.forget(f, s)
			}
		}
	}
}

// names lists the families in the order of the page.
func (p *page) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.families))
}

// inOrder is the series in the order of the page; the page is locked.
func (f *family) inOrder() []*series {
	if f.sorted == nil {
		f.sorted = slices.SortedFunc(maps.Values(f.series), func(a, b *series) int {
			if a.set < b.set {
				return -1
			}
			return 1
		})
	}
	return f.sorted
}

// shareBounds is the same bounds, in the slice that other series of the family have.
func (f *family) shareBounds(bounds []float64) []float64 {
	for _, known := range f.bounds {
		if slices.Equal(known, bounds) {
			return known
		}
	}
	if len(f.bounds) < maxSharedBounds {
		f.bounds = append(f.bounds, bounds)
	}
	return bounds
}
