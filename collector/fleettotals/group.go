package fleettotals

import (
	"slices"

	"github.com/fleet-telemetry/collector/internal/ledger"
)

// group is the exports of one commit: durable together, or refused together.
type group struct {
	changes []change
	counts  []uint64 // of the changes of histograms
	metrics []*metric
	fresh   []*series
	senders []staged[runs]
	streams []staged[*reading]

	goneSenders []*entry[runs]
	goneStreams []*entry[*reading]

	horizon     int64
	tally       tally
	transaction ledger.Transaction
	ticket      *ticket
}

// ticket is how the requests of a group wait for its commit.
type ticket struct {
	lead chan struct{} // one of them gets this and commits
	done chan struct{}
	err  error // once done is closed
}

// change is what a group adds to a series.
type change struct {
	series *series
	sum    float64
	total  uint64
	bounds []float64 // all that the series had before, and maybe more
	counts span      // in the group's counts

	after float64 // the sum with it
}

func newTicket() *ticket {
	return &ticket{lead: make(chan struct{}, 1), done: make(chan struct{})}
}

func newGroup() *group { return &group{ticket: newTicket()} }

// maxKept bounds the space that an empty group keeps.
const maxKept = 1 << 15

// emptied is a new group in the space of this one.
func (g *group) emptied() *group {
	if cap(g.changes) > maxKept || cap(g.counts) > 8*maxKept {
		return newGroup()
	}
	clear(g.fresh)
	clear(g.changes)
	clear(g.metrics)
	clear(g.senders)
	clear(g.streams)
	g.transaction.Reset()
	return &group{
		changes: g.changes[:0], counts: g.counts[:0], metrics: g.metrics[:0], fresh: g.fresh[:0], senders: g.senders[:0],
		streams: g.streams[:0], transaction: g.transaction, ticket: newTicket(),
	}
}

// isEmpty tells whether nobody waits for it.
func (g *group) isEmpty() bool { return g.tally.exports == 0 }

// changeOf is the change of a series in this group, which is open.
func (g *group) changeOf(s *series, closing *group) *change {
	if s.open == 0 {
		c := change{series: s, bounds: s.bounds}
		if s.closing != 0 {
			c.bounds = closing.changes[s.closing-1].bounds
		}
		if s.counts != nil {
			c.counts = g.newCounts(len(c.bounds) + 1)
		}
		g.changes = append(g.changes, c)
		s.open = int32(len(g.changes))
	}
	return &g.changes[s.open-1]
}

func (g *group) newCounts(n int) span {
	from := len(g.counts)
	g.counts = slices.Grow(g.counts, n)[:from+n]
	clear(g.counts[from:])
	return span{from, from + n}
}

func (g *group) countsOf(c *change) []uint64 { return g.counts[c.counts.from:c.counts.to] }

// widen gives a change further bounds.
func (g *group) widen(c *change, bounds []float64) {
	wider := g.newCounts(len(bounds) + 1)
	rebucket(g.counts[wider.from:wider.to], bounds, g.countsOf(c), c.bounds)
	c.bounds, c.counts = bounds, wider
}
