package fleettotals

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

const (
	replacedEachMinute = 300
	remembered         = 10_000
	livesOfExports     = 3
)

// churn is an hour in which every sender is replaced each minute, on a clock that is set.
type churn struct {
	t       *testing.T
	totals  *totals
	now     time.Time
	exports int
	lives   int
}

// minute lets the senders of one minute live.
func (c *churn) minute() {
	for export := 1; export <= livesOfExports; export++ {
		for n := range replacedEachMinute {
			newRequest().from(fmt.Sprint(c.lives+n), int64(export)).count("c", 1).send(c.t, c.totals)
			c.exports++
		}
		c.now = c.now.Add(time.Minute / livesOfExports)
	}
	c.lives += replacedEachMinute
}

// An hour in which every sender is replaced each minute: each export counts once, table and store stop growing, and what was forgotten
// and after which silence is told.
func TestChurnIsBounded(t *testing.T) {
	storage := memory()
	c := &churn{t: t, totals: begin(t, storage, newPage(), func(c *Config) { c.MaxSenders = remembered }), now: time.Now()}
	c.totals.clock = newClock(func() time.Time { return c.now })
	newRequest().from("answer lost", 1).count("c", 1).send(t, c.totals)
	newRequest().from("answer lost", 2).count("c", 1).send(t, c.totals)
	half := 0
	for minute := range 60 {
		c.minute()
		if entries := len(c.totals.senders.entries); entries > remembered+1 {
			t.Fatal(entries, "senders are remembered in minute", minute)
		}
		if minute == 30 {
			newRequest().from("answer lost", 2).count("c", 1).send(t, c.totals)
		}
		if minute == 45 {
			half = storage.Size()
		}
	}
	expect(t, c.totals, fmt.Sprintf("c{environment=dev} %d", c.exports+2))
	if slots := len(c.totals.senders.slots.used); slots > remembered+2 {
		t.Error(slots, "places for", remembered, "senders")
	}
	if size := storage.Size(); size > half+half/10 {
		t.Error("the store grew from", half, "to", size, "bytes in the last quarter of an hour")
	}
	if n := c.totals.tally.duplicates; n != 1 {
		t.Error(n, "duplicates, not the one that came again after half an hour")
	}
	if forgotten := c.totals.tally.pushedOut; forgotten != int64(c.lives+1-len(c.totals.senders.entries)) {
		t.Error(forgotten, "of", c.lives, "were forgotten")
	}
	if silence := c.totals.senderMemory(); silence < 31*time.Minute || silence > 34*time.Minute {
		t.Error("forgotten after", silence, "although there is room for more than half an hour")
	}
	end(t, c.totals)
}

// Without want of room a sender is remembered for max_age, and nobody is told to be pushed out who was too old.
func TestAgeIsNoWantOfRoom(t *testing.T) {
	p := forgetful(t)
	if p.tally.pushedOut != 0 || p.senderMemory() != time.Hour {
		t.Error(p.tally.pushedOut, p.senderMemory())
	}
	end(t, p)
}

// A commit that fails forgets nobody: what it would have pushed out is still known when its exports come again.
func TestFailedCommitForgetsNobody(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage(), func(c *Config) { c.MaxSenders = 2 })
	newRequest().from("a", 1).count("c", 1).send(t, p)
	newRequest().from("b", 1).count("c", 1).send(t, p)
	m.Before = func([]*storage.Operation) error { return errors.New("the disk is away") }
	if err := p.ConsumeMetrics(context.Background(), newRequest().from("d", 1).count("c", 1).md); err == nil {
		t.Fatal("nothing failed")
	}
	m.Before = nil
	if p.tally.pushedOut != 0 {
		t.Error(p.tally.pushedOut, "were pushed out")
	}
	newRequest().from("a", 1).count("c", 1).send(t, p)
	newRequest().from("b", 1).count("c", 1).send(t, p)
	expect(t, p, "c{environment=dev} 2")
	end(t, p)
}
