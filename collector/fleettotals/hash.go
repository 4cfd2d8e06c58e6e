package fleettotals

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/fleet-telemetry/collector/internal/labels"
)

// id names a sender or a cumulative stream; whoever does not know what it is made of cannot make one like it.
type id [16]byte

type keyValue struct{ key, value string }

// hasher makes ids; it keeps its scratch space.
type hasher struct {
	attributes []keyValue
	text       []byte
}

// sender is the id of a sender: what it calls itself, and the rest of its resource, so that somebody who calls himself the same is
// somebody else.
func (h *hasher) sender(name string, resource pcommon.Map) id {
	h.text = appendText(h.text[:0], name)
	h.appendResource(resource)
	return shorten(sha256.Sum256(h.text))
}

// stream is the id of a cumulative stream. Its start belongs to it: two processes that differ in nothing else are two streams.
func (h *hasher) stream(resource, attributes pcommon.Map, metric, scope, version string, start int64) id {
	h.text = appendText(appendText(appendText(h.text[:0], metric), scope), version)
	h.text = binary.LittleEndian.AppendUint64(h.text, uint64(start))
	h.appendResource(resource)
	h.text = append(h.text, 0xff)
	h.appendAttributes(attributes)
	return shorten(sha256.Sum256(h.text))
}

func (h *hasher) appendResource(resource pcommon.Map) {
	h.attributes = h.attributes[:0]
	for key, value := range resource.All() {
		if key != senderKey && key != sequenceKey {
			h.attributes = append(h.attributes, keyValue{key, labels.Text(value)})
		}
	}
	h.appendSorted()
}

func (h *hasher) appendAttributes(attributes pcommon.Map) {
	h.attributes = h.attributes[:0]
	for key, value := range attributes.All() {
		h.attributes = append(h.attributes, keyValue{key, labels.Text(value)})
	}
	h.appendSorted()
}

func (h *hasher) appendSorted() {
	slices.SortFunc(h.attributes, func(a, b keyValue) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value))
	})
	for _, a := range h.attributes {
		h.text = appendText(appendText(h.text, a.key), a.value)
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func shorten(sum [32]byte) (out id) {
	copy(out[:], sum[:])
	return out
}

// content adds a point to the hash of an export: what it reports of which series, whatever the order. A point that adds nothing does
// not change it.
func (h *hasher) content(metric uint64, set []byte, p *point, bounds []float64, counts []uint64) uint64 {
	if p.sum == 0 && p.total == 0 {
		return 0
	}
	h.text = binary.LittleEndian.AppendUint64(h.text[:0], metric)
	h.text = append(h.text, set...)
	h.text = binary.LittleEndian.AppendUint64(h.text, math.Float64bits(p.sum))
	for i, n := range counts {
		if n == 0 {
			continue
		}
		bound := math.Inf(1)
		if i < len(bounds) {
			bound = bounds[i]
		}
		h.text = binary.LittleEndian.AppendUint64(h.text, math.Float64bits(bound))
		h.text = binary.AppendUvarint(h.text, n)
	}
	return xxhash.Sum64(h.text)
}
