package fleettotals

import "time"

// clock tells the time twice: as the wall clock does, and as time that only goes forward, whatever is done to the wall clock while
// the collector runs. Ages are of the second kind: a stepping clock must not make senders forgotten.
type clock struct {
	now   func() time.Time
	begun time.Time
}

func newClock(now func() time.Time) clock { return clock{now, now()} }

// wall is unix nanoseconds.
func (c clock) wall() int64 { return c.now().UnixNano() }

// steady is unix nanoseconds as the wall clock told them at the start, and the time since.
func (c clock) steady() int64 { return c.begun.UnixNano() + int64(c.now().Sub(c.begun)) }
