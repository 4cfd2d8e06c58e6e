package fleettotals

import (
	"cmp"
	"slices"

	"github.com/fleet-telemetry/collector/internal/budget"
	"github.com/fleet-telemetry/collector/internal/exemplars"
	"github.com/fleet-telemetry/collector/internal/grid"
	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

const (
	// otherValue stands for every label value of the points that are folded.
	otherValue = "other"
	// maxValues is how many values of a resource label folded points keep.
	maxValues = 8
	// maxKnownBounds is how many sets of bounds of a metric its series share.
	maxKnownBounds = 8
)

// metric is all series of one name.
type metric struct {
	slot    uint32
	name    string
	help    string
	kind    pagename.Kind
	names   []string // labels of its first series, which the folded one has, too
	account *budget.Account
	series  map[string]*series // by label set
	least   []float64          // bounds that all its series have
	bounds  [][]float64        // sets of bounds in use
	durable bool
}

// series is one sum. What is not durable yet is in the changes of the groups that are open and closing.
type series struct {
	metric *metric
	slot   uint32
	start  int64 // unix nanoseconds
	set    labels.Set
	sum    float64
	total  uint64 // of all counts
	bounds []float64
	counts []uint64
	links  exemplars.Set // none of them is durable

	open, closing int32 // 1 + place among the group's changes
	durable       bool
	dirty         bool // changed and not handed on
}

// shareBounds is the same bounds, in the slice that other series of the metric have.
func (m *metric) shareBounds(bounds []float64) []float64 {
	for _, known := range m.bounds {
		if slices.Equal(known, bounds) {
			return known
		}
	}
	own := slices.Clone(bounds)
	if len(m.bounds) < maxKnownBounds {
		m.bounds = append(m.bounds, own)
	}
	return own
}

// classicBounds is those of a series that are no edges of exponential buckets, and all that the metric is known to have: what is read of
// it where there are no exponential histograms.
func (m *metric) classicBounds(bounds []float64) []float64 {
	return unite(m.least, slices.DeleteFunc(slices.Clone(bounds), grid.IsEdge))
}

// otherSet is the label set of the metric's folded points: the labels of its first series, each with the value `other`, but those that
// can come from a resource with the values that this resource has.
func (m *metric) otherSet(values []labels.Label, fromResource []labels.FromResource) labels.Set {
	set := slices.DeleteFunc(slices.Clone(values), func(l labels.Label) bool { return l.Value == "" })
	for _, name := range m.names {
		if !slices.ContainsFunc(fromResource, func(f labels.FromResource) bool { return f.Label == name }) {
			set = append(set, labels.Label{Name: name, Value: otherValue})
		}
	}
	slices.SortFunc(set, func(a, b labels.Label) int { return cmp.Compare(a.Name, b.Name) })
	return labels.Encode(set)
}

func labelNames(set labels.Set) []string {
	names := []string{}
	for name := range set.All() {
		names = append(names, name)
	}
	return names
}

// valueSet is the first values of each resource label that were seen: those that folded points keep.
type valueSet map[string][]string

// admit tells whether a value is among them; it is if there is room.
func (v valueSet) admit(label, value string) bool {
	known := v[label]
	if slices.Contains(known, value) {
		return true
	}
	if len(known) >= maxValues {
		return false
	}
	v[label] = append(known, value)
	return true
}

// keep is the values with those that are not known replaced by `other`.
func (v valueSet) keep(values []labels.Label) []labels.Label {
	kept := slices.Clone(values)
	for i, l := range kept {
		if !slices.Contains(v[l.Name], l.Value) {
			kept[i].Value = otherValue
		}
	}
	return kept
}
