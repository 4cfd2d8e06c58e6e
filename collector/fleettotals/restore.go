package fleettotals

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/fleet-telemetry/collector/internal/ledger"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// stored is what a store is found to hold, until all of it is read.
type stored struct {
	metrics     map[uint32]*metric
	definitions map[uint32]definition
	values      map[uint32]value
	senders     map[uint32]*entry[runs]
	streams     map[uint32]*entry[*reading]
	horizon     int64
}

type value struct {
	sum    float64
	counts []uint64
}

func newStored() *stored {
	return &stored{
		map[uint32]*metric{}, map[uint32]definition{}, map[uint32]value{}, map[uint32]*entry[runs]{}, map[uint32]*entry[*reading]{}, 0,
	}
}

// restore takes over what the records say. It is all or nothing: after an error totals knows nothing.
func (t *totals) restore(records ledger.Records) error {
	t.mu.Lock() // the own metrics may be asked for meanwhile
	defer t.mu.Unlock()
	s := newStored()
	err := t.ledger.Load(records, s.visit)
	if err == nil {
		err = t.takeOver(s)
	}
	if err != nil {
		t.clear()
	}
	return err
}

func (s *stored) visit(table byte, slot uint32, record []byte) (err error) {
	free := len(record) == 0
	switch table {
	case tableMetrics:
		err = keep(s.metrics, slot, free, func() (*metric, error) { return readMetric(record) })
	case tableDefinitions:
		err = keep(s.definitions, slot, free, func() (definition, error) { return readDefinition(record) })
	case tableValues:
		err = keep(s.values, slot, free, func() (v value, err error) { v.sum, v.counts, err = readValue(record); return v, err })
	case tableSenders:
		err = keep(s.senders, slot, free, func() (*entry[runs], error) { return readSender(record, slot) })
	case tableStreams:
		err = keep(s.streams, slot, free, func() (*entry[*reading], error) { return readStream(record, slot) })
	case tableHorizon:
		s.horizon, err = readHorizon(record)
	default:
		err = errRecord
	}
	if err != nil {
		return fmt.Errorf("%w: slot %d of table %q: %w", ledger.ErrDamaged, slot, table, err)
	}
	return nil
}

func keep[T any](all map[uint32]T, slot uint32, free bool, read func() (T, error)) error {
	if free {
		delete(all, slot)
		return nil
	}
	v, err := read()
	all[slot] = v
	return err
}

// takeOver puts what is stored in its places; what is stored has a place even where the budget was cut since.
func (t *totals) takeOver(s *stored) error {
	for _, slot := range sortedKeys(s.metrics) {
		if err := t.takeOverMetric(slot, s.metrics[slot]); err != nil {
			return fmt.Errorf("%w: %w", ledger.ErrDamaged, err)
		}
	}
	for _, slot := range sortedKeys(s.definitions) {
		if err := t.takeOverSeries(slot, s.definitions[slot], s.values); err != nil {
			return fmt.Errorf("%w: series %d: %w", ledger.ErrDamaged, slot, err)
		}
	}
	takeOverEntries(t.senders, s.senders)
	takeOverEntries(t.streams, s.streams)
	t.horizon = s.horizon
	t.byMetric.fill(func(m *metric) bool { return m == nil })
	t.bySeries.fill(func(s *series) bool { return s == nil })
	return nil
}

// takeOverMetric: a metric that is known as another kind by now is kept, and counted on, as what it is.
func (t *totals) takeOverMetric(slot uint32, stored *metric) error {
	if t.metrics[stored.name] != nil {
		return errors.New("a metric is there twice")
	}
	m := t.newMetric(stored.name, stored.help, stored.kind)
	m.names, m.durable, m.slot = stored.names, true, slot
	if m.kind != pagename.Histogram {
		m.least = nil
	}
	t.claims.Take(m.name, m.kind)
	t.budget.ForceName(m.name)
	t.byMetric.put(slot, m)
	t.metrics[m.name] = m
	return nil
}

func (t *totals) takeOverSeries(slot uint32, d definition, values map[uint32]value) error {
	m, v := t.byMetric.at(d.metric), values[slot]
	if m == nil {
		return errors.New("it has no metric")
	}
	s := &series{metric: m, slot: slot, start: d.start, set: d.set, sum: v.sum, durable: true}
	if m.kind == pagename.Histogram {
		if len(v.counts) != len(d.bounds)+1 {
			return errors.New("its counts and bounds do not go together")
		}
		s.bounds, s.counts = m.shareBounds(d.bounds), v.counts
	} else if _, has := values[slot]; !has || len(v.counts) > 0 {
		return errors.New("it has no sum")
	}
	for _, n := range s.counts {
		if n > math.MaxInt64-s.total {
			return errors.New("its counts are beyond belief")
		}
		s.total += n
	}
	if m.series[string(s.set)] != nil {
		return errors.New("it is there twice")
	}
	t.budget.Force(m.account)
	t.rememberValues(s)
	t.bySeries.put(slot, s)
	m.series[string(s.set)] = s
	s.dirty = true
	t.dirty = append(t.dirty, s)
	return nil
}

// rememberValues: the values of resource labels that were first are first again.
func (t *totals) rememberValues(s *series) {
	for name, v := range s.set.All() {
		for _, label := range t.config.ResourceLabels {
			if label.Label == name && v != otherValue {
				t.values.admit(name, v)
			}
		}
	}
}

func takeOverEntries[V any](t *table[V], entries map[uint32]*entry[V]) {
	all := make([]*entry[V], 0, len(entries))
	for _, e := range entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry[V]) int { return cmp.Compare(a.seen, b.seen) })
	for _, e := range all {
		t.restore(e)
	}
	t.slots.fill(func(e *entry[V]) bool { return e == nil })
}

func sortedKeys[T any](all map[uint32]T) []uint32 {
	keys := make([]uint32, 0, len(all))
	for key := range all {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
