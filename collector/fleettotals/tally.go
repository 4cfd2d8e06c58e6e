package fleettotals

// tally is what became of exports and points. A group's counts when the group is durable.
type tally struct {
	exports, points                       int64
	duplicates, conflicts, missing, jumps int64
	rebucketed                            int64
	failed                                int64 // commits
	pushedOut                             int64 // senders that were forgotten before they were too old
	silence                               int64 // the shortest, in nanoseconds, after which one of these was forgotten; 0 without any
	dropped                               drops
	folded                                map[string]int64 // by metric
}

func (t *tally) fold(metric string, points int64) {
	if t.folded == nil {
		t.folded = map[string]int64{}
	}
	t.folded[metric] += points
}

// pushOut notes that a sender was forgotten for want of room, after so long a silence.
func (t *tally) pushOut(silence int64) {
	t.pushedOut++
	t.keepShortest(max(silence, 1))
}

func (t *tally) keepShortest(silence int64) {
	if silence > 0 && (t.silence == 0 || silence < t.silence) {
		t.silence = silence
	}
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
	t.pushedOut += more.pushedOut
	t.keepShortest(more.silence)
	t.dropped.add(&more.dropped)
	for metric, n := range more.folded {
		t.fold(metric, n)
	}
}
