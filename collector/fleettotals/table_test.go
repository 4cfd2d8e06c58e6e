package fleettotals

import (
	"fmt"
	"testing"
	"time"
)

func key(n int) (k id) {
	copy(k[:], fmt.Sprint(n))
	return k
}

// A flood of senders that come once pushes out only each other; senders seen twice stay.
func TestFloodPushesOutItself(t *testing.T) {
	table := newTable[runs](100)
	for n := range 50 {
		table.touch(key(n), 1)
		table.touch(key(n), 2)
	}
	for n := range 10_000 {
		table.touch(key(1_000+n), 3)
		table.evict(0)
	}
	for n := range 50 {
		if table.entries[key(n)] == nil {
			t.Fatalf("sender %d was pushed out", n)
		}
	}
	if len(table.entries) != 100 || len(table.slots.used) > 10_100 {
		t.Error(len(table.entries), "entries")
	}
}

// Too old is gone in both generations, and the slots are used again.
func TestAgeEndsBothGenerations(t *testing.T) {
	table := newTable[runs](100)
	for n := range 10 {
		table.touch(key(n), 1)
	}
	for n := range 5 {
		table.touch(key(n), 2)
	}
	table.touch(key(0), 9)
	gone := table.evict(5)
	table.release(gone)
	if len(gone) != 9 || len(table.entries) != 1 {
		t.Fatal(len(gone), len(table.entries))
	}
	for n := range 9 {
		table.touch(key(100+n), 10)
	}
	if len(table.slots.used) != 10 {
		t.Error(len(table.slots.used), "slots for 10 entries")
	}
}

// What was remembered before a restart is remembered after it, and what was forgotten is gone from the store.
func TestTableOfSendersSurvives(t *testing.T) {
	m, shown := memory(), newPage()
	few := func(c *Config) { c.MaxSenders = 10 }
	p := begin(t, m, shown, few)
	for range 2 {
		newRequest().from("steady", 1).count("c", 1).send(t, p)
	}
	for n := range 100 {
		newRequest().from(fmt.Sprint(n), 1).count("c", 1).send(t, p)
	}
	newRequest().from("steady", 2).count("c", 1).send(t, p)
	p = begin(t, m.Copy(), newPage(), few)
	if n := len(p.senders.entries); n > 11 {
		t.Error(n, "senders are remembered")
	}
	newRequest().from("steady", 1).count("c", 1).send(t, p)
	newRequest().from("steady", 2).count("c", 1).send(t, p)
	expect(t, p, "c{environment=dev} 102")
}

// forgetful makes totals that remember a sender for an hour, and were told of a second one when the first was silent for two.
func forgetful(t *testing.T) *totals {
	t.Helper()
	p := begin(t, memory(), newPage(), func(c *Config) { c.MaxAge = time.Hour })
	now := time.Now()
	p.clock = newClock(func() time.Time { return now })
	newRequest().from("a", 1).count("c", 1).send(t, p)
	now = now.Add(2 * time.Hour)
	newRequest().from("b", 1).count("c", 1).send(t, p)
	return p
}

// Senders are forgotten when they were silent for long enough, by a clock that nobody can step.
func TestOldSendersAreForgotten(t *testing.T) {
	p := forgetful(t)
	if n := len(p.senders.entries); n != 1 {
		t.Error(n, "senders are remembered")
	}
	end(t, p)
}
