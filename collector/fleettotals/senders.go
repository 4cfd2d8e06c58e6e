package fleettotals

import "slices"

const (
	maxRuns = 4
	// A sender whose number jumps further has not lost that many exports; something is wrong with its numbers.
	maxGap = 10_000
)

// run is an unbroken range of export numbers that were taken from a sender, and what the last one reported.
type run struct {
	first, last int64
	content     uint64
}

// runs is what is known of a sender: few ranges, the most recently extended one first. It is never changed in place.
type runs []run

// verdict is what becomes of an export.
type verdict struct {
	duplicate bool
	conflict  bool  // another export has its number: two senders use one name
	missing   int64 // exports before it that never came
	jump      bool  // the gap before it is beyond belief
	after     runs  // what is known of the sender then
}

// judge decides on the export of this number that reports this.
func (r runs) judge(sequence int64, content uint64) verdict {
	inside, conflict := false, false
	for _, known := range r {
		switch {
		case sequence == known.last && content == known.content:
			return verdict{duplicate: true, after: r}
		case sequence == known.last:
			conflict = true
		case sequence >= known.first && sequence < known.last:
			inside = true
		}
	}
	for i, known := range r {
		if sequence == known.last+1 {
			return verdict{after: r.with(i, run{known.first, sequence, content})}
		}
	}
	if inside {
		return verdict{duplicate: true, after: r}
	}
	v := verdict{conflict: conflict, after: r.with(-1, run{sequence, sequence, content})}
	if gap := r.gapBelow(sequence); gap > maxGap {
		v.jump = true
	} else if !conflict {
		v.missing = gap
	}
	return v
}

// gapBelow is how many numbers lie between a new one and the nearest that was taken below it; none if there is none below.
func (r runs) gapBelow(sequence int64) int64 {
	nearest := int64(0)
	for _, known := range r {
		if known.last < sequence {
			nearest = max(nearest, known.last)
		}
	}
	if nearest == 0 {
		return 0
	}
	return sequence - nearest - 1
}

// with is the runs with one replaced (or added, for -1) that now is the most recently extended. Runs that touch become one. Beyond the
// limit, one that was never extended goes first, then the least recently extended.
func (r runs) with(replaced int, extended run) runs {
	after := make(runs, 1, min(len(r)+1, maxRuns+1))
	for i, known := range r {
		switch {
		case i == replaced:
		case known.first == extended.last+1 && !overlaps(r, known):
			extended.last, extended.content = known.last, known.content
		default:
			after = append(after, known)
		}
	}
	after[0] = extended
	if len(after) > maxRuns {
		after = slices.Delete(after, victim(after), victim(after)+1)
	}
	return after
}

// overlaps tells whether another run shares numbers with it: then two senders use one name, and which continues which is unknown.
func overlaps(r runs, one run) bool {
	return slices.ContainsFunc(r, func(other run) bool {
		return other != one && other.first <= one.last && one.first <= other.last
	})
}

func victim(r runs) int {
	for i := len(r) - 1; i > 0; i-- {
		if r[i].first == r[i].last {
			return i
		}
	}
	return len(r) - 1
}
