package fleettotals

import (
	"slices"

	"github.com/fleet-telemetry/collector/internal/grid"
)

// reading is the last point of a cumulative stream. It is never changed in place.
type reading struct {
	start, time int64
	sum         float64
	bounds      []float64
	counts      []uint64
}

// difference makes of a cumulative point what it adds to the reading before; false if it adds nothing because it is late, a repetition
// or the first of a stream that began before this store knew anything.
//
// A stream without a reading began before the store did, or was forgotten, if it started before `horizon`: its zero is unknown, so its
// first point only says where it stands. A value that fell is a restart of the sender, even if it says that it started when it did
// before; what it has counted since is all of the point.
func (e *export) difference(p *point, before *reading, horizon int64) (after *reading, counts bool) {
	now := &reading{p.start, p.time, p.sum, slices.Clone(e.boundsOf(p)), slices.Clone(e.countsOf(p))}
	if before == nil {
		return now, p.start > horizon
	}
	if p.time <= before.time {
		return before, false
	}
	if len(now.counts) > 0 && slices.Equal(now.bounds, before.bounds) {
		now.bounds = before.bounds
	} else if grid.Is(now.bounds) && grid.Is(before.bounds) {
		before = before.by(now.bounds)
	}
	if now.hasFallen(before) {
		return now, true
	}
	p.sum -= before.sum
	for i := range now.counts {
		e.counts[p.counts.from+i] -= before.counts[i]
		p.total -= before.counts[i]
	}
	return now, true
}

// by is the reading by other bounds. An exponential histogram has those of the buckets that count anything, and joins buckets where
// they get too many: what was counted before is in buckets that end where theirs ended, or next after.
func (r *reading) by(bounds []float64) *reading {
	counts := make([]uint64, len(bounds)+1)
	rebucket(counts, bounds, r.counts, r.bounds)
	return &reading{r.start, r.time, r.sum, bounds, counts}
}

// hasFallen tells whether a reading cannot be the same counting, some time later.
func (r *reading) hasFallen(before *reading) bool {
	if r.sum < before.sum || !slices.Equal(r.bounds, before.bounds) || len(r.counts) != len(before.counts) {
		return true
	}
	for i, n := range r.counts {
		if n < before.counts[i] {
			return true
		}
	}
	return false
}
