package fleettotals

import "slices"

// rebucket adds counts of buckets with bounds `from` to counts of buckets with bounds `to`: each bucket to the smallest one that ends
// where it ends or later. Where `to` has all of `from`, each cumulative count at a bound of `from` stays exact.
func rebucket(into []uint64, to []float64, counts []uint64, from []float64) {
	for i, n := range counts {
		at := len(to)
		if i < len(from) {
			at, _ = slices.BinarySearch(to, from[i])
		}
		into[at] += n
	}
}

// unite is all bounds of both.
func unite(a, b []float64) []float64 {
	all := make([]float64, 0, len(a)+len(b))
	all = append(append(all, a...), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// thin leaves out bounds until so many are left, evenly.
func thin(bounds []float64, most int) []float64 {
	if len(bounds) <= most {
		return bounds
	}
	kept := make([]float64, most)
	for i := range kept {
		kept[i] = bounds[(i+1)*len(bounds)/most-1]
	}
	return kept
}

// holds tells whether bounds has all of the others.
func holds(bounds, others []float64) bool {
	for _, bound := range others {
		if _, found := slices.BinarySearch(bounds, bound); !found {
			return false
		}
	}
	return true
}
