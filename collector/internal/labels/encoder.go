package labels

import (
	"cmp"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Encoder makes sets of attributes; it keeps its scratch space, so one goroutine uses it at a time.
type Encoder struct {
	// MaxBytes bounds the encoding of a set.
	MaxBytes int
	// MaxLabels bounds the labels of a set.
	MaxLabels int

	pairs []pair
}

type pair struct{ name, attribute, value string }

// Append appends the set of the attributes to dst. An extra label replaces an attribute of its name, a label without a value is
// none, attributes that escape to one name are joined by `;`. Reserved is a label name that belongs to the page, such as `le` of a
// histogram, or none. It is false, and dst as it was, if the set is beyond a bound.
func (e *Encoder) Append(dst []byte, attributes pcommon.Map, extra []Label, reserved string) ([]byte, bool) {
	e.collect(attributes, extra, reserved)
	if len(e.pairs) > e.MaxLabels {
		return dst, false
	}
	begin := len(dst)
	for i := 0; i < len(e.pairs); i++ {
		p := e.pairs[i]
		for i+1 < len(e.pairs) && e.pairs[i+1].name == p.name && len(p.value) <= e.MaxBytes {
			i++
			p.value += ";" + e.pairs[i].value
		}
		if len(dst)-begin+len(p.name)+len(p.value)+4 > e.MaxBytes {
			return dst[:begin], false
		}
		dst = appendText(appendText(dst, p.name), p.value)
	}
	return dst, true
}

func (e *Encoder) collect(attributes pcommon.Map, extra []Label, reserved string) {
	e.pairs = e.pairs[:0]
	for attribute, value := range attributes.All() {
		name := Name(attribute)
		if name == reserved && name != "" {
			name = "key_" + name
		}
		text := Text(value)
		if name != "" && text != "" && !slices.ContainsFunc(extra, func(l Label) bool { return l.Name == name }) {
			e.pairs = append(e.pairs, pair{name, attribute, text})
		}
	}
	for _, l := range extra {
		if l.Value != "" {
			e.pairs = append(e.pairs, pair{l.Name, "", l.Value})
		}
	}
	e.sort()
}

// sort is by insertion: sets are short and arrive mostly in order. A long one is somebody's attempt to make it slow.
func (e *Encoder) sort() {
	if len(e.pairs) > 32 {
		slices.SortFunc(e.pairs, comparePairs)
		return
	}
	for i := 1; i < len(e.pairs); i++ {
		for j := i; j > 0 && comparePairs(e.pairs[j], e.pairs[j-1]) < 0; j-- {
			e.pairs[j], e.pairs[j-1] = e.pairs[j-1], e.pairs[j]
		}
	}
}

func comparePairs(a, b pair) int {
	if c := cmp.Compare(a.name, b.name); c != 0 {
		return c
	}
	return cmp.Compare(a.attribute, b.attribute)
}
