package fleettotals

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// Tables of the ledger.
const (
	tableMetrics     = 'm'
	tableDefinitions = 'd' // of a series: metric, start, bounds, labels; changes seldom
	tableValues      = 'v' // of a series: sum, counts; changes with each export
	tableSenders     = 's'
	tableStreams     = 'c'
	tableHorizon     = 'h'
)

var errRecord = errors.New("a record cannot be read")

// AppendRecord implements ledger.Owner.
func (t *totals) AppendRecord(dst []byte, table byte, slot uint32) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch table {
	case tableMetrics:
		if m := t.byMetric.at(slot); m != nil && m.durable {
			return appendMetric(dst, m)
		}
	case tableDefinitions:
		if s := t.bySeries.at(slot); s != nil && s.durable {
			return appendDefinition(dst, s, s.bounds)
		}
	case tableValues:
		if s := t.bySeries.at(slot); s != nil && s.durable {
			return appendValue(dst, s.sum, s.counts)
		}
	case tableSenders:
		if e := t.senders.slots.at(slot); e != nil && e.durable {
			return appendSender(dst, e.key, e.sighting, e.stored)
		}
	case tableStreams:
		if e := t.streams.slots.at(slot); e != nil && e.durable {
			return appendStream(dst, e.key, e.sighting, e.stored)
		}
	case tableHorizon:
		if slot == 0 && t.horizon > 0 {
			return appendHorizon(dst, t.horizon)
		}
	}
	return dst
}

func appendMetric(b []byte, m *metric) []byte {
	b = append(b, byte(m.kind))
	b = appendText(appendText(b, m.name), m.help)
	b = binary.AppendUvarint(b, uint64(len(m.names)))
	for _, name := range m.names {
		b = appendText(b, name)
	}
	return b
}

func appendDefinition(b []byte, s *series, bounds []float64) []byte {
	b = binary.AppendUvarint(b, uint64(s.metric.slot))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.start))
	b = appendFloats(b, bounds)
	return append(b, s.set...)
}

func appendValue(b []byte, sum float64, counts []uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(sum))
	return appendCounts(b, counts)
}

// appendEntry begins the record of a sender or a stream.
func appendEntry(b []byte, key id, seen sighting) []byte {
	generation := byte(0)
	if seen.often {
		generation = 1
	}
	b = append(append(b, key[:]...), generation)
	return binary.LittleEndian.AppendUint64(b, uint64(seen.seen))
}

func appendSender(b []byte, key id, seen sighting, known runs) []byte {
	b = appendEntry(b, key, seen)
	for _, r := range known {
		b = binary.AppendUvarint(b, uint64(r.first))
		b = binary.AppendUvarint(b, uint64(r.last-r.first))
		b = binary.LittleEndian.AppendUint64(b, r.content)
	}
	return b
}

func appendStream(b []byte, key id, seen sighting, r *reading) []byte {
	b = appendEntry(b, key, seen)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.start))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.time))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.sum))
	return appendCounts(appendFloats(b, r.bounds), r.counts)
}

func appendHorizon(b []byte, horizon int64) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(horizon))
}

func appendFloats(b []byte, all []float64) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, f := range all {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

func appendCounts(b []byte, counts []uint64) []byte {
	for _, n := range counts {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// reader reads a record. What is not there reads as zero, and is told at the end.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if uint64(len(r.b)) < n {
		r.b, r.bad = nil, true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) int64() int64   { return int64(r.uint64()) }
func (r *reader) float() float64 { return math.Float64frombits(r.uint64()) }
func (r *reader) text() string   { return string(r.take(r.uvarint())) }

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) floats() []float64 {
	n := r.uvarint()
	if n > uint64(len(r.b)/8) {
		r.bad = true
		return nil
	}
	all := make([]float64, n)
	for i := range all {
		all[i] = r.float()
	}
	return all
}

func (r *reader) counts() (all []uint64) {
	for len(r.b) > 0 {
		all = append(all, r.uvarint())
	}
	return all
}

func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errRecord
	}
	return nil
}

func readMetric(b []byte) (*metric, error) {
	r := &reader{b: b}
	m := &metric{kind: pagename.Kind(r.byte()), name: r.text(), help: r.text(), names: []string{}, durable: true}
	for range min(r.uvarint(), uint64(len(b))) {
		m.names = append(m.names, r.text())
	}
	if m.kind != pagename.Counter && m.kind != pagename.Histogram || m.name == "" {
		return nil, errRecord
	}
	return m, r.end()
}

// definition is a stored series without its value.
type definition struct {
	metric uint32
	start  int64
	bounds []float64
	set    labels.Set
}

func readDefinition(b []byte) (d definition, err error) {
	r := &reader{b: b}
	d.metric, d.start, d.bounds = uint32(r.uvarint()), r.int64(), r.floats()
	d.set = labels.Set(r.take(uint64(len(r.b))))
	if !d.set.Valid() || !ascend(d.bounds) {
		return d, errRecord
	}
	return d, r.end()
}

func readValue(b []byte) (sum float64, counts []uint64, err error) {
	r := &reader{b: b}
	sum, counts = r.float(), r.counts()
	if !isAmount(sum) {
		return 0, nil, errRecord
	}
	return sum, counts, r.end()
}

func readEntry[V any](r *reader, slot uint32) *entry[V] {
	e := &entry[V]{slot: slot}
	copy(e.key[:], r.take(uint64(len(e.key))))
	e.often, e.seen = r.byte() == 1, r.int64()
	return e
}

func readSender(b []byte, slot uint32) (*entry[runs], error) {
	r := &reader{b: b}
	e := readEntry[runs](r, slot)
	for len(r.b) > 0 && len(e.stored) < maxRuns {
		first := int64(r.uvarint())
		known := run{first: first, last: first + int64(r.uvarint()), content: r.uint64()}
		if known.first < 1 || known.last < known.first {
			return nil, errRecord
		}
		e.stored = append(e.stored, known)
	}
	return e, r.end()
}

func readStream(b []byte, slot uint32) (*entry[*reading], error) {
	r := &reader{b: b}
	e := readEntry[*reading](r, slot)
	e.stored = &reading{start: r.int64(), time: r.int64(), sum: r.float(), bounds: r.floats()}
	e.stored.counts = r.counts()
	return e, r.end()
}

func readHorizon(b []byte) (int64, error) {
	r := &reader{b: b}
	return r.int64(), r.end()
}
