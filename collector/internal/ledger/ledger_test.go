package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/fleet-telemetry/collector/internal/storagetest"
)

// notes is an owner that knows its records by heart.
type notes map[slotID]string

func (n notes) AppendRecord(dst []byte, table byte, slot uint32) []byte {
	return append(dst, n[slotID{table, slot}]...)
}

func load(m *storagetest.Memory) (*Ledger, notes, error) {
	n := notes{}
	l := New(n)
	err := l.Load(m.Records, func(table byte, slot uint32, record []byte) error {
		if len(record) == 0 {
			delete(n, slotID{table, slot})
			return nil
		}
		n[slotID{table, slot}] = string(record)
		return nil
	})
	return l, n, err
}

func attach(t *testing.T, l *Ledger, m *storagetest.Memory) {
	t.Helper()
	if err := l.Attach(context.Background(), m); err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, m *storagetest.Memory) (*Ledger, notes) {
	t.Helper()
	l, n, err := load(m)
	if err != nil && !errors.Is(err, ErrNew) {
		t.Fatal(err)
	}
	attach(t, l, m)
	return l, n
}

// transaction is some random changes, and what they make of the notes.
func transaction(r *rand.Rand, n notes) (*Transaction, notes) {
	t, after := &Transaction{}, maps.Clone(n)
	for range r.Intn(20) {
		id := slotID{"ab"[r.Intn(2)], uint32(r.Intn(400))}
		if r.Intn(5) == 0 {
			t.Free(id.table, id.slot)
			delete(after, id)
			continue
		}
		text := bytes.Repeat([]byte{byte(r.Intn(256))}, 1+r.Intn(700))
		begin := t.Begin
		if _, there := after[id]; !there {
			begin = t.Create
		}
		t.End(append(begin(id.table, id.slot), text...))
		after[id] = string(text)
	}
	return t, after
}

// After any sequence of commits, refused commits, commits of which the answer was lost, and kills, what is read is the last commit:
// nothing of a refused one, all of the others, whatever of the log has been written to pages.
func TestReadsTheLastCommit(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	m := storagetest.NewMemory()
	l, n := begin(t, m)
	problem := errors.New("refused")
	answer := func(wanted bool) error {
		if wanted {
			return problem
		}
		return nil
	}
	for step := range 4_000 {
		l.logSize = 5_000
		refuse, lose := r.Intn(10) == 0, r.Intn(20) == 0
		m.Before = func([]*storage.Operation) error { return answer(refuse) }
		m.After = func() error { return answer(lose) }
		transaction, after := transaction(r, n)
		err := l.Commit(context.Background(), transaction)
		if (refuse || lose) != (err != nil) {
			t.Fatal(step, err)
		}
		possible := []notes{maps.Clone(n)}
		if err == nil {
			clear(n)
			maps.Copy(n, after)
			possible = []notes{after}
		} else if !refuse {
			possible = append(possible, after)
		}
		if r.Intn(40) == 0 || r.Intn(4) == 0 && lose {
			killed := m.Copy()
			again, read, err := load(killed)
			if err != nil || !slices.ContainsFunc(possible, func(p notes) bool { return maps.Equal(read, p) }) {
				t.Fatalf("step %d: read something else than was committed (%v)", step, err)
			}
			attach(t, again, killed)
			m, l, n = killed, again, read
		}
	}
	if l.oldest == 1 || m.Size() > 400_000 {
		t.Errorf("the log is never cut: it begins at %d, %d bytes are stored", l.oldest, m.Size())
	}
}

// A storage that is full makes room of its log: known records can be changed for ever, and nothing is lost.
func TestFullStorageMakesRoom(t *testing.T) {
	m := storagetest.NewMemory()
	l, n := begin(t, m)
	write := func(slot uint32, text string) error {
		transaction := &Transaction{}
		begin := transaction.Begin
		if _, there := n[slotID{'a', slot}]; !there {
			begin = transaction.Create
		}
		transaction.End(append(begin('a', slot), text...))
		err := l.Commit(context.Background(), transaction)
		if err == nil {
			n[slotID{'a', slot}] = text
		}
		return err
	}
	for slot := range uint32(200) {
		if err := write(slot, fmt.Sprint(slot)); err != nil {
			t.Fatal(err)
		}
	}
	limit := m.Size() + 5_000
	m.Before = func(ops []*storage.Operation) error {
		after := m.Copy()
		_ = after.Batch(context.Background(), ops...)
		if after.Size() > limit && after.Size() > m.Size() {
			return storage.ErrStorageFull
		}
		return nil
	}
	for step := range uint32(2_000) {
		if err := write(step%200, fmt.Sprint("again ", step)); err != nil {
			t.Fatal(step, err)
		}
	}
	if err := write(300, string(make([]byte, limit))); !IsFull(err) {
		t.Fatal("a record without room for it was taken", err)
	}
	if _, read, err := load(m.Copy()); err != nil || !maps.Equal(read, n) {
		t.Fatal("read something else than was committed", err)
	}
}

// Each flipped bit of each record is seen.
func TestDamageIsSeen(t *testing.T) {
	m := storagetest.NewMemory()
	l, n := begin(t, m)
	l.logSize = 500
	r := rand.New(rand.NewSource(1))
	for range 50 {
		transaction, after := transaction(r, n)
		if err := l.Commit(context.Background(), transaction); err != nil {
			t.Fatal(err)
		}
		clear(n)
		maps.Copy(n, after)
	}
	_ = m.Records(func(key string, value []byte) error {
		damaged := m.Copy()
		flipped := bytes.Clone(value)
		flipped[r.Intn(len(flipped))] ^= 1 << r.Intn(8)
		damaged.Put(key, flipped)
		if _, _, err := load(damaged); !errors.Is(err, ErrDamaged) {
			t.Errorf("record %q: %v", key, err)
		}
		return nil
	})
}

// A missing entry of the log, records without an identity and foreign records are damage; a store of a newer format is told apart.
func TestWhatIsNoStoreOfOurs(t *testing.T) {
	m := storagetest.NewMemory()
	l, _ := begin(t, m)
	for slot := range uint32(3) {
		transaction := &Transaction{}
		transaction.Free('a', slot)
		if err := l.Commit(context.Background(), transaction); err != nil {
			t.Fatal(err)
		}
	}
	large := &Transaction{}
	large.End(append(large.Begin('a', 9), make([]byte, 3*chunkSize)...))
	if err := l.Commit(context.Background(), large); err != nil {
		t.Fatal(err)
	}
	newer := []byte(`{"format": 2, "name": "x"}`)
	for name, c := range map[string]struct {
		change func(*storagetest.Memory)
		want   error
	}{
		"part of an entry missing": {func(m *storagetest.Memory) { _ = m.Delete(context.Background(), logKey(4, 1)) }, ErrDamaged},
		"log entry missing":        {func(m *storagetest.Memory) { _ = m.Delete(context.Background(), logKey(2, 0)) }, ErrDamaged},
		"identity missing":         {func(m *storagetest.Memory) { _ = m.Delete(context.Background(), identityKey) }, ErrDamaged},
		"foreign record":           {func(m *storagetest.Memory) { m.Put("a", []byte("foreign")) }, ErrDamaged},
		"newer format":             {func(m *storagetest.Memory) { m.Put(identityKey, appendSealed(nil, identityKey, newer)) }, ErrNewer},
		"newer, also foreign": {func(m *storagetest.Memory) {
			m.Put(identityKey, appendSealed(nil, identityKey, newer))
			m.Put("a", nil)
		}, ErrNewer},
	} {
		changed := m.Copy()
		c.change(changed)
		if _, _, err := load(changed); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A ledger does not go on with a storage that somebody else has written to since it was read.
func TestAttachNoticesAnotherWriter(t *testing.T) {
	m := storagetest.NewMemory()
	first, _ := begin(t, m)
	second, _, err := load(m)
	if err != nil {
		t.Fatal(err)
	}
	transaction := &Transaction{}
	transaction.Free('a', 1)
	if err := first.Commit(context.Background(), transaction); err != nil {
		t.Fatal(err)
	}
	if err := second.Attach(context.Background(), m); err == nil {
		t.Error("the other writer was not noticed")
	}
	if err := New(notes{}).Attach(context.Background(), m); err == nil {
		t.Error("a store was taken for a new one")
	}
}

// No bytes of a page, an entry or an identity make the reader panic.
func FuzzRecords(f *testing.F) {
	t := &Transaction{}
	t.End(append(t.Begin('a', 70), "text"...))
	t.Free('b', 1)
	f.Add(t.body)
	f.Add([]byte(`{"format": 1, "name": "x", "birth": 3}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		ignore := func(byte, uint32, []byte) error { return nil }
		_ = visitPage(pageID{'a', 1}, body, ignore)
		_ = visitEntry(body, ignore)
		_, _ = parseIdentity(body)
		_, _ = unseal("i", body)
	})
}
