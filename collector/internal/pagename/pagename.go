// Package pagename keeps families of metrics apart that would use one name on a Prometheus page, in text, OpenMetrics or protobuf.
package pagename

import "strings"

// Kind is what a family is on a page.
type Kind byte

// Kinds of families.
const (
	Counter   Kind = 'c'
	Gauge     Kind = 'g'
	Histogram Kind = 'h'
)

// Claims are the names that families have taken, and which family has them.
type Claims map[string]string

// Take takes all names of a family, or none if another family has one of them.
func (c Claims) Take(family string, kind Kind) bool {
	names := names(family, kind)
	for _, name := range names {
		if owner, taken := c[name]; taken && owner != family {
			return false
		}
	}
	for _, name := range names {
		c[name] = family
	}
	return true
}

// Release gives the names of a family back.
func (c Claims) Release(family string, kind Kind) {
	for _, name := range names(family, kind) {
		if c[name] == family {
			delete(c, name)
		}
	}
}

func names(family string, kind Kind) []string {
	switch kind {
	case Counter:
		base := strings.TrimSuffix(family, "_total") // the family's name in OpenMetrics
		return []string{family, base, base + "_created"}
	case Histogram:
		return []string{family, family + "_bucket", family + "_count", family + "_sum", family + "_created"}
	default:
		return []string{family}
	}
}
