package fleettotals

// tally is what became of exports and points. A group's counts when the group is durable.
type tally struct {
	exports, points                       int64
	duplicates, conflicts, missing, jumps int64
	rebucketed                            int64
	failed                                int64 // commits
	dropped                               drops
	folded                                map[string]int64 // by metric
}

func (t *tally) fold(metric string, points int64) {
	if t.folded == nil {
		t.folded = map[string]int64{}
	}
	t.folded[metric] += points
}

func (t *tally) judged(v verdict) {
	t.missing += v.missing
	if v.conflict {
		t.conflicts++
	}
	if v.jump {
		t.jumps++
	}
}

func (t *tally) add(more *tally) {
	t.exports += more.exports
	t.points += more.points
	t.duplicates += more.duplicates
	t.conflicts += more.conflicts
	t.missing += more.missing
	t.jumps += more.jumps
	t.rebucketed += more.rebucketed
	t.dropped.add(&more.dropped)
	for metric, n := range more.folded {
		t.fold(metric, n)
	}
}
