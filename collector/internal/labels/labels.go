// Package labels turns attributes into the label sets that a Prometheus page shows: escaped names in ascending order, so that
// one label set has one encoding whoever sent it.
package labels

import (
	"encoding/binary"
	"iter"
	"unicode/utf8"
)

// Label is one name and value; names are escaped.
type Label struct{ Name, Value string }

// Set is the encoding of a label set: each name and each value after its length, names ascending and unique.
type Set string

// All yields names and values in order. It stops at what is no encoding.
func (s Set) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		rest := string(s)
		for rest != "" {
			name, after, ok := cut(rest)
			if !ok {
				return
			}
			value, after, ok := cut(after)
			if !ok || !yield(name, value) {
				return
			}
			rest = after
		}
	}
}

// Valid tells whether it is the encoding of a set whose values are UTF-8: what was sent may be neither.
func (s Set) Valid() bool {
	previous, rest := "", string(s)
	for rest != "" {
		name, after, ok := cut(rest)
		if !ok || name <= previous {
			return false
		}
		value, after, ok := cut(after)
		if !ok || value == "" || !utf8.ValidString(value) {
			return false
		}
		previous, rest = name, after
	}
	return true
}

// Encode gives the set of labels that are in order.
func Encode(labels []Label) Set {
	var b []byte
	for _, l := range labels {
		b = appendText(appendText(b, l.Name), l.Value)
	}
	return Set(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cut takes one length and what it counts from the front; lengths have one encoding, so that sets have one.
func cut(s string) (text, rest string, ok bool) {
	var n uint64
	for i := range len(s) {
		c := s[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			if i > 0 && c == 0 || n > uint64(len(s)-i-1) {
				return "", "", false
			}
			end := i + 1 + int(n)
			return s[i+1 : end], s[end:], true
		}
		if i == 4 {
			break
		}
	}
	return "", "", false
}
