// Package grid lays exponential histograms over bounds, so that they add up with any other histogram. The edges of their buckets at one
// scale are the grid; buckets of a larger scale are joined, those of a smaller scale end on it.
package grid

import (
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	// Scale is that of the grid: eight buckets between a number and its double.
	Scale = 3
	each  = 1 << Scale
	// Zero is the bound up to which a value is 0. A histogram that has this bound was an exponential one: no other has it.
	Zero = 0x1p-60
	// least and most are the places on the grid that are numbers above Zero.
	least = -60*each + 1
	most  = 1023 * each
)

// steps are the edges between 1 and 2, the first included: the same numbers on every machine, for stores outlive them.
var steps = [each]float64{
	1, 1.0905077326652577, 1.189207115002721, 1.2968395546510096, 1.4142135623730951, 1.5422108254079407, 1.681792830507429, 1.8340080864093424,
}

// Edge is a number of the grid: 2 to the power of an eighth of its place.
func Edge(place int) float64 {
	return math.Ldexp(steps[place&(each-1)], place>>Scale)
}

// Place is the place of the first edge that is not below a positive number.
func Place(value float64) int {
	fraction, exponent := math.Frexp(value) // fraction is in [½, 1)
	at, _ := slices.BinarySearch(steps[:], 2*fraction)
	return (exponent-1)*each + at
}

// IsEdge tells whether a bound is of the grid.
func IsEdge(bound float64) bool {
	return bound == Zero || bound > Zero && Edge(Place(bound)) == bound
}

// Is tells whether a histogram with these bounds was, or has taken in, an exponential one.
func Is(bounds []float64) bool {
	_, found := slices.BinarySearch(bounds, Zero)
	return found
}

// Lay appends the buckets of an exponential point that count anything as bounds and counts, the last count for what is above all bounds.
func Lay(bounds []float64, counts []uint64, dp pmetric.ExponentialHistogramDataPoint) ([]float64, []uint64) {
	zeros := dp.ZeroCount()
	for _, n := range dp.Negative().BucketCounts().All() {
		zeros += n
	}
	l := layer{append(bounds, Zero), append(counts, zeros), len(counts), 0}
	offset, scale := int(dp.Positive().Offset()), int(dp.Scale())
	for i, n := range dp.Positive().BucketCounts().All() {
		if n > 0 {
			l.add(lower(offset+i, scale), lower(offset+i+1, scale), n)
		}
	}
	return l.bounds, append(l.counts, l.above)
}

// lower is the place of the edge at which a bucket of some scale begins, joined where that is finer than the grid.
func lower(index, scale int) int {
	if scale >= Scale {
		return floorShift(index, scale-Scale)
	}
	return clamp(index) << min(Scale-scale, 16)
}

func floorShift(index, by int) int { return index >> min(by, 40) }

// clamp keeps what follows within its type; no number is that large.
func clamp(index int) int { return max(-1<<20, min(index, 1<<20)) }

type layer struct {
	bounds []float64
	counts []uint64
	zero   int // place of its count
	above  uint64
}

// add counts a bucket that begins and ends at these places. One that is finer than the grid ends where it begins.
func (l *layer) add(from, to int, n uint64) {
	to = max(to, from+1)
	switch {
	case to < least:
		l.counts[l.zero] += n
		return
	case to > most:
		l.above += n
		return
	}
	if from >= least && Edge(from) > l.bounds[len(l.bounds)-1] {
		l.bounds, l.counts = append(l.bounds, Edge(from)), append(l.counts, 0)
	}
	if Edge(to) > l.bounds[len(l.bounds)-1] {
		l.bounds, l.counts = append(l.bounds, Edge(to)), append(l.counts, 0)
	}
	l.counts[len(l.counts)-1] += n
}

// Put writes counts by these bounds to an exponential point: each bucket goes to the one of the grid that it ends in.
func Put(to pmetric.ExponentialHistogramDataPoint, bounds []float64, counts []uint64) {
	to.SetScale(Scale)
	to.SetZeroThreshold(Zero)
	positive := to.Positive()
	first, zeros := 0, uint64(0)
	for i, n := range counts {
		if n == 0 {
			continue
		}
		place, isZero := placeOf(bounds, i)
		if isZero {
			zeros += n
			continue
		}
		if positive.BucketCounts().Len() == 0 {
			first = place
			positive.SetOffset(int32(place - 1)) // by where the first begins
		}
		for positive.BucketCounts().Len() <= place-first {
			positive.BucketCounts().Append(0)
		}
		positive.BucketCounts().SetAt(place-first, positive.BucketCounts().At(place-first)+n)
	}
	to.SetZeroCount(zeros)
}

// placeOf is where on the grid the i-th bucket ends.
func placeOf(bounds []float64, i int) (place int, isZero bool) {
	if i < len(bounds) {
		return place0(bounds[i])
	}
	if len(bounds) == 0 {
		return 0, true
	}
	place, isZero = place0(bounds[len(bounds)-1])
	if isZero {
		return least, false
	}
	return place + 1, false
}

func place0(bound float64) (int, bool) {
	if bound <= Zero {
		return 0, true
	}
	return Place(bound), false
}
