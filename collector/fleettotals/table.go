package fleettotals

// table remembers what was seen lately: senders, or cumulative streams. It has two generations, so that a flood of names that are seen
// once pushes out only each other: what was seen twice stays until it is the least recently seen of its kind and room is needed.
type table[V any] struct {
	entries map[id]*entry[V]
	slots   slots[*entry[V]]
	once    queue[V]
	often   queue[V]
	limit   int
}

// entry is what is remembered of one name. Its latest value is durable when the group that it is of is.
type entry[V any] struct {
	key  id
	slot uint32
	sighting
	durable bool // stored is what the store has
	stored  V
	latest  V
	group   *group // the last one that changed it, until that is durable

	previous, next *entry[V]
}

// sighting is when something was seen last, and whether it was seen before that.
type sighting struct {
	seen  int64
	often bool
}

// staged is what a group makes of an entry.
type staged[V any] struct {
	entry *entry[V]
	value V
	sighting
}

// freeze takes the entries as they are now.
func freeze[V any](all []staged[V]) {
	for i := range all {
		all[i].value, all[i].sighting = all[i].entry.latest, all[i].entry.sighting
	}
}

func newTable[V any](limit int) *table[V] {
	return &table[V]{entries: map[id]*entry[V]{}, limit: limit}
}

// touch finds or makes an entry and notes that it was seen.
func (t *table[V]) touch(key id, now int64) *entry[V] {
	e := t.entries[key]
	if e == nil {
		e = &entry[V]{key: key, sighting: sighting{seen: now}}
		e.slot = t.slots.take(e)
		t.entries[key] = e
		t.once.pushNewest(e)
		return e
	}
	t.queue(e).remove(e)
	e.seen, e.often = now, true
	t.often.pushNewest(e)
	return e
}

func (t *table[V]) queue(e *entry[V]) *queue[V] {
	if e.often {
		return &t.often
	}
	return &t.once
}

// restore puts in what the store has. Entries come in the order in which they were seen.
func (t *table[V]) restore(e *entry[V]) {
	e.latest, e.durable = e.stored, true
	t.slots.put(e.slot, e)
	t.entries[e.key] = e
	t.queue(e).pushNewest(e)
}

// evict takes out those that are too old or too many, but none that a commit is about to store. They keep their slots until release.
func (t *table[V]) evict(oldest int64) (gone []*entry[V]) {
	for {
		e := t.candidate(oldest)
		if e == nil || e.group != nil {
			return gone
		}
		t.drop(e)
		gone = append(gone, e)
	}
}

// candidate is the next one to go. Those seen once have at least a tenth of the places.
func (t *table[V]) candidate(oldest int64) *entry[V] {
	once, often := t.once.oldest, t.often.oldest
	switch {
	case once != nil && once.seen < oldest:
		return once
	case often != nil && often.seen < oldest:
		return often
	case len(t.entries) <= t.limit:
		return nil
	case once != nil && (t.once.size > t.limit/10 || often == nil):
		return once
	default:
		return often
	}
}

func (t *table[V]) drop(e *entry[V]) {
	t.queue(e).remove(e)
	delete(t.entries, e.key)
}

// putBack undoes an eviction whose commit failed.
func (t *table[V]) putBack(gone []*entry[V]) {
	for _, e := range gone {
		t.entries[e.key] = e
		t.queue(e).pushOldest(e)
	}
}

// release lets the slots of the evicted be used again.
func (t *table[V]) release(gone []*entry[V]) {
	for _, e := range gone {
		t.slots.release(e.slot)
	}
}

// publish makes what a group staged the durable value.
func (t *table[V]) publish(all []staged[V], g *group) {
	for _, s := range all {
		s.entry.stored, s.entry.durable = s.value, true
		if s.entry.group == g {
			s.entry.group = nil
		}
	}
}

// rollBack makes the durable value the latest; an entry that never was durable is forgotten.
func (t *table[V]) rollBack(all []staged[V]) {
	for _, s := range all {
		e := s.entry
		e.latest, e.group = e.stored, nil
		if !e.durable && t.entries[e.key] == e {
			t.drop(e)
			t.slots.release(e.slot)
		}
	}
}

// queue is entries in the order in which they were seen.
type queue[V any] struct {
	oldest, newest *entry[V]
	size           int
}

func (q *queue[V]) pushNewest(e *entry[V]) {
	e.previous, e.next = q.newest, nil
	if q.newest != nil {
		q.newest.next = e
	} else {
		q.oldest = e
	}
	q.newest = e
	q.size++
}

func (q *queue[V]) pushOldest(e *entry[V]) {
	e.previous, e.next = nil, q.oldest
	if q.oldest != nil {
		q.oldest.previous = e
	} else {
		q.newest = e
	}
	q.oldest = e
	q.size++
}

func (q *queue[V]) remove(e *entry[V]) {
	if e.previous != nil {
		e.previous.next = e.next
	} else {
		q.oldest = e.next
	}
	if e.next != nil {
		e.next.previous = e.previous
	} else {
		q.newest = e.previous
	}
	e.previous, e.next = nil, nil
	q.size--
}

// slots numbers things; numbers that became free are used again.
type slots[T any] struct {
	used []T
	free []uint32
}

func (s *slots[T]) take(v T) uint32 {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		s.used[slot] = v
		return slot
	}
	s.used = append(s.used, v)
	return uint32(len(s.used) - 1)
}

// put places what was stored; the numbers that it skips are free once all is in, see fill.
func (s *slots[T]) put(slot uint32, v T) {
	for uint32(len(s.used)) <= slot {
		var none T
		s.used = append(s.used, none)
	}
	s.used[slot] = v
}

// fill frees the numbers that nothing was put at.
func (s *slots[T]) fill(isFree func(T) bool) {
	for slot := len(s.used) - 1; slot >= 0; slot-- {
		if isFree(s.used[slot]) {
			s.free = append(s.free, uint32(slot))
		}
	}
}

func (s *slots[T]) release(slot uint32) {
	var none T
	s.used[slot] = none
	s.free = append(s.free, slot)
}

func (s *slots[T]) at(slot uint32) (v T) {
	if slot < uint32(len(s.used)) {
		v = s.used[slot]
	}
	return v
}
