package fleettotals

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/fleet-telemetry/collector/internal/ledger"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// stored is what a store is found to hold, until all of it is read.
type stored struct {
	metrics     column[*metric]
	definitions column[definition]
	values      column[value]
	senders     column[*entry[runs]]
	streams     column[*entry[*reading]]
	horizon     int64
}

type value struct {
	sum    float64
	counts []uint64
}

// column is the records of a table by their slots, which are close together.
type column[T any] struct {
	records []T
	there   []bool
}

func (c *column[T]) put(slot uint32, record T, there bool) {
	for uint32(len(c.there)) <= slot {
		var none T
		c.records, c.there = append(c.records, none), append(c.there, false)
	}
	c.records[slot], c.there[slot] = record, there
}

func (c *column[T]) at(slot uint32) (record T, there bool) {
	if slot < uint32(len(c.there)) {
		return c.records[slot], c.there[slot]
	}
	return record, false
}

// all yields what is there by ascending slots.
func (c *column[T]) all() iter.Seq2[uint32, T] {
	return func(yield func(uint32, T) bool) {
		for slot, record := range c.records {
			if c.there[slot] && !yield(uint32(slot), record) {
				return
			}
		}
	}
}

// restore takes over what the records say. It is all or nothing: after an error totals knows nothing.
func (t *totals) restore(records ledger.Records) error {
	t.mu.Lock() // the own metrics may be asked for meanwhile
	defer t.mu.Unlock()
	s := &stored{}
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
		err = keep(&s.metrics, slot, free, func() (*metric, error) { return readMetric(record) })
	case tableDefinitions:
		err = keep(&s.definitions, slot, free, func() (definition, error) { return readDefinition(record) })
	case tableValues:
		err = keep(&s.values, slot, free, func() (v value, err error) { v.sum, v.counts, err = readValue(record); return v, err })
	case tableSenders:
		err = keep(&s.senders, slot, free, func() (*entry[runs], error) { return readSender(record, slot) })
	case tableStreams:
		err = keep(&s.streams, slot, free, func() (*entry[*reading], error) { return readStream(record, slot) })
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

func keep[T any](records *column[T], slot uint32, free bool, read func() (T, error)) (err error) {
	var record T
	if !free {
		record, err = read()
	}
	records.put(slot, record, !free)
	return err
}

// takeOver puts what is stored in its places; what is stored has a place even where the budget was cut since.
func (t *totals) takeOver(s *stored) error {
	for slot, m := range s.metrics.all() {
		if err := t.takeOverMetric(slot, m); err != nil {
			return fmt.Errorf("%w: %w", ledger.ErrDamaged, err)
		}
	}
	for slot, d := range s.definitions.all() {
		if err := t.takeOverSeries(slot, d, &s.values); err != nil {
			return fmt.Errorf("%w: series %d: %w", ledger.ErrDamaged, slot, err)
		}
	}
	takeOverEntries(t.senders, &s.senders)
	takeOverEntries(t.streams, &s.streams)
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

func (t *totals) takeOverSeries(slot uint32, d definition, values *column[value]) error {
	m := t.byMetric.at(d.metric)
	v, hasValue := values.at(slot)
	if m == nil || !hasValue {
		return errors.New("it has no metric, or no value")
	}
	s := &series{metric: m, slot: slot, start: d.start, set: d.set, sum: v.sum, durable: true}
	if m.kind == pagename.Histogram {
		if len(v.counts) != len(d.bounds)+1 {
			return errors.New("its counts and bounds do not go together")
		}
		s.bounds, s.counts = m.shareBounds(d.bounds), v.counts
	} else if len(v.counts) > 0 {
		return errors.New("it has counts and is no histogram")
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

func takeOverEntries[V any](t *table[V], entries *column[*entry[V]]) {
	var all []*entry[V]
	for _, e := range entries.all() {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry[V]) int { return cmp.Compare(a.seen, b.seen) })
	for _, e := range all {
		t.restore(e)
	}
	t.slots.fill(func(e *entry[V]) bool { return e == nil })
}
