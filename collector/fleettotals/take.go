package fleettotals

import "math"

// take takes a request into the open group. It answers with what the request has to wait for: the commit of all that it changed, or of
// what it repeats; nil if that is durable already.
func (t *totals) take(e *export) (*ticket, error) {
	if t.closed {
		return nil, errShutdown
	}
	now := t.clock.steady()
	if now < t.fullTill && t.needsRoom(e) {
		return nil, errNotStored
	}
	var wait *group // of what the request repeats
	changed := false
	for i := range e.parts {
		p := &e.parts[i]
		if p.numbered {
			before, isNew := t.takeNumber(p, now)
			if !isNew {
				wait = later(wait, before, t.open)
				continue
			}
			changed = true
		}
		for j := p.points.from; j < p.points.to; j++ {
			changed = t.takePoint(e, p, &e.points[j], now) || changed
		}
	}
	if changed {
		t.open.tally.dropped.add(&e.dropped)
		t.open.tally.exports++
		return t.open.ticket, nil
	}
	t.tally.dropped.add(&e.dropped)
	if wait == nil {
		return nil, nil
	}
	return wait.ticket, nil
}

// later is that of two groups whose commit comes later.
func later(a, b, open *group) *group {
	if a == open || b == nil {
		return a
	}
	return b
}

// needsRoom tells whether a request has a series that is not there yet.
func (t *totals) needsRoom(e *export) bool {
	for i := range e.points {
		m := t.metrics[e.metrics[e.points[i].metric].name]
		if m == nil || m.series[string(e.set(&e.points[i]))] == nil {
			return true
		}
	}
	return false
}

// takeNumber tells whether an export is new; if not, it tells which group has to be durable before it may be acknowledged.
func (t *totals) takeNumber(p *part, now int64) (*group, bool) {
	sender := t.senders.touch(p.sender, now)
	v := sender.latest.judge(p.sequence, p.content)
	if v.duplicate {
		t.tally.duplicates++
		return sender.group, false
	}
	t.open.tally.judged(v)
	sender.latest = v.after
	t.open.senders = stage(t.open.senders, sender, t.open)
	return nil, true
}

// stage notes that a group changes an entry; its value is taken when the group is sealed.
func stage[V any](all []staged[V], e *entry[V], g *group) []staged[V] {
	if e.group == g {
		return all
	}
	e.group = g
	return append(all, staged[V]{entry: e})
}

// takePoint tells whether anything has to become durable for the point.
func (t *totals) takePoint(e *export, p *part, pt *point, now int64) bool {
	changed := false
	if pt.cumulative {
		stream := t.streams.touch(pt.stream, now)
		after, counts := e.difference(pt, stream.latest, max(t.horizon, t.ledger.Identity().Birth))
		if after != stream.latest {
			stream.latest = after
			t.open.streams = stage(t.open.streams, stream, t.open)
			changed = true
		}
		if !counts {
			return changed
		}
	}
	s, folded := t.find(e, p, pt)
	if s == nil {
		return changed
	}
	if pt.sum == 0 && pt.total == 0 && s.durable {
		return changed
	}
	if !t.add(e, pt, s) {
		e.dropped[dropOverflow]++
		return changed
	}
	t.linked.keep(s, e.linksOf(pt))
	t.open.tally.points++
	if folded {
		t.open.tally.fold(s.metric.name, 1)
	}
	return true
}

// add adds a point to its series' change, unless a sum would leave its range: a counter never falls.
func (t *totals) add(e *export, pt *point, s *series) bool {
	sum, total := s.sum+pt.sum, s.total
	for _, c := range []*change{t.closing.at(s.closing), t.open.at(s.open)} {
		if c != nil {
			sum += c.sum
			total += c.total
		}
	}
	if math.IsInf(sum, 1) || total > math.MaxInt64-pt.total {
		return false
	}
	c := t.open.changeOf(s, t.closing)
	c.sum += pt.sum
	c.total += pt.total
	if s.counts != nil {
		t.addCounts(e, pt, c)
	}
	return true
}

func (g *group) at(place int32) *change {
	if place == 0 {
		return nil
	}
	return &g.changes[place-1]
}

// addCounts lets the bounds of a series grow to all that its senders use, so that each bound that anybody counts at stays exact. Beyond
// the limit of bounds a count goes to the next bound that there is.
func (t *totals) addCounts(e *export, pt *point, c *change) {
	bounds := e.boundsOf(pt)
	if !sameBounds(bounds, c.bounds) && !holds(c.bounds, bounds) {
		if all := unite(c.bounds, bounds); len(all) <= t.config.most(all) {
			t.open.widen(c, c.series.metric.shareBounds(all))
		} else {
			t.open.tally.rebucketed++
		}
	}
	into := t.open.countsOf(c)
	if sameBounds(bounds, c.bounds) {
		for i, n := range e.countsOf(pt) {
			into[i] += n
		}
		return
	}
	rebucket(into, c.bounds, e.countsOf(pt), bounds)
}

func sameBounds(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
