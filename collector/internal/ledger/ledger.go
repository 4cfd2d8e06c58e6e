// Package ledger keeps numbered records durable in a key-value storage: many small changes in one atomic commit, and little written
// for each.
//
// A record is a slot of a table and its bytes. A commit appends one entry to a log: the whole new content of each record that it
// changes. Records lie in pages of neighbouring slots; a page is written behind the log, some at each commit, the one that was
// changed first comes first. When all changes of a log entry are in pages, the entry is deleted. Since entries hold contents and
// not differences, reading the pages and then the log gives the last commit, whatever was written when.
//
// Ledger knows nothing of what the records mean: its Owner has them, and gives the bytes of a page when it is to be written.
package ledger

import (
	"context"
	"slices"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

const (
	// pageSlots is few enough for a page of usual records, and chunkSize small enough for a chunk, to fit into half a page of bbolt:
	// what does not, needs pages of its file that are neighbours.
	pageSlots = 16
	chunkSize = 1_900

	defaultLogSize = 2 << 20
	pagesPerCommit = 64
)

// Owner has the records.
type Owner interface {
	// AppendRecord appends what the last commit made of a record; nothing if the slot is free.
	AppendRecord(dst []byte, table byte, slot uint32) []byte
}

// Ledger is the records of one storage. One goroutine at a time may commit.
type Ledger struct {
	client   storage.Client
	owner    Owner
	identity Identity
	logSize  int // bytes from which on pages are written

	pages    map[pageID]*page
	behind   []*page // pages that the log is ahead of, the longest first
	next     uint64  // number of the next log entry
	oldest   uint64  // number of the first one that is kept
	kept     []extent
	logged   int // bytes of the kept entries
	doubtful doubt
	ballast  bool

	ops   []*storage.Operation // scratch, as is
	entry []byte
}

// doubt is what a commit that failed may have written nevertheless: the next one writes over it.
type doubt struct {
	chunks int // of the next log entry
	pages  []pageID
}

// extent is how much a log entry takes.
type extent struct{ bytes, chunks int }

type slotID struct {
	table byte
	slot  uint32
}

type pageID struct {
	table  byte
	number uint32
}

type page struct {
	id    pageID
	since uint64 // the first log entry that the stored page lacks
	dirty bool
	has   uint64 // the log entry that the page was written with, if it was
}

// New makes the ledger of an owner's records.
func New(owner Owner) *Ledger {
	return &Ledger{owner: owner, logSize: defaultLogSize, pages: map[pageID]*page{}, next: 1, oldest: 1}
}

// Identity tells one store from another.
func (l *Ledger) Identity() Identity { return l.identity }

// Commit makes a transaction durable, all of it or nothing.
//
// A storage that is full gets the chance to make room of what the log holds; what fails then may be tried again later. A transaction
// that grows the store does not get the last room: records that are there can be changed for ever.
func (l *Ledger) Commit(ctx context.Context, t *Transaction) error {
	if t.Grows && !l.keepBallast(ctx) {
		return storage.ErrStorageFull
	}
	err := l.commit(ctx, t)
	if IsFull(err) && l.relieve(ctx) && (!t.Grows || l.keepBallast(ctx)) {
		err = l.commit(ctx, t)
		l.keepBallast(ctx)
	}
	return err
}

func (l *Ledger) commit(ctx context.Context, t *Transaction) error {
	chunks := l.sealEntry(t.body)
	l.undoDoubtful(chunks)
	written := l.due(len(l.entry))
	keep := l.needed(written)
	l.cutOperations(written, keep)
	if err := l.createOperations(t); err != nil {
		return err
	}
	if err := l.client.Batch(ctx, l.ops...); err != nil {
		l.doubtful.chunks = max(l.doubtful.chunks, chunks)
		l.doubtful.pages = append(l.doubtful.pages, t.created...)
		return err
	}
	l.doubtful = doubt{}
	l.forgetPages(written)
	l.forgetLog(keep)
	for _, id := range t.created {
		l.page(id).has = l.next
	}
	l.append(extent{len(l.entry), chunks}, t.pages)
	return nil
}

func (l *Ledger) undoDoubtful(chunks int) {
	for i := chunks; i < l.doubtful.chunks; i++ {
		l.ops = append(l.ops, storage.DeleteOperation(logKey(l.next, i)))
	}
	for _, id := range l.doubtful.pages {
		l.ops = append(l.ops, l.pageOperation(id))
	}
}

// sealEntry begins the operations with the chunks of the next log entry, and tells how many they are.
func (l *Ledger) sealEntry(body []byte) int {
	l.ops = l.ops[:0]
	chunks := chunksOf(len(body))
	l.entry = slices.Grow(l.entry[:0], len(body)+chunks*(sealSize+maxCountSize))
	for i := range chunks {
		from := len(l.entry)
		key := logKey(l.next, i)
		l.entry = appendSealed(l.entry, key, appendCount(nil, i, chunks), body[i*chunkSize:min((i+1)*chunkSize, len(body))])
		l.ops = append(l.ops, storage.SetOperation(key, l.entry[from:]))
	}
	return chunks
}

// due is how many pages a commit writes: none while the log is short.
func (l *Ledger) due(entry int) int {
	if l.logged+entry <= l.logSize {
		return 0
	}
	return min(len(l.behind), pagesPerCommit)
}

// needed is the first log entry that has to stay when so many pages are written: never fewer than the last one, which tells where to
// go on.
func (l *Ledger) needed(written int) uint64 {
	if written < len(l.behind) {
		return min(l.behind[written].since, max(l.next-1, l.oldest))
	}
	return max(l.next-1, l.oldest)
}

// cutOperations adds what writes so many pages and deletes the log entries before one.
func (l *Ledger) cutOperations(written int, keep uint64) {
	for _, p := range l.behind[:written] {
		l.ops = append(l.ops, l.pageOperation(p.id))
	}
	for number := l.oldest; number < keep; number++ {
		for i := range l.kept[number-l.oldest].chunks {
			l.ops = append(l.ops, storage.DeleteOperation(logKey(number, i)))
		}
	}
}

// pageOperation writes a page as the last commit made it.
func (l *Ledger) pageOperation(id pageID) *storage.Operation {
	body := appendPage(nil, id, func(dst []byte, slot uint32) []byte { return l.owner.AppendRecord(dst, id.table, slot) })
	if len(body) == 0 {
		return storage.DeleteOperation(pageKey(id))
	}
	return storage.SetOperation(pageKey(id), appendSealed(nil, pageKey(id), body))
}

// createOperations adds what writes the pages of a transaction's new records, as this commit makes them.
func (l *Ledger) createOperations(t *Transaction) error {
	if len(t.created) == 0 {
		return nil
	}
	changed := map[slotID][]byte{}
	err := visitEntry(t.body, func(table byte, slot uint32, record []byte) error {
		changed[slotID{table, slot}] = record
		return nil
	})
	for _, id := range t.created {
		body := appendPage(nil, id, func(dst []byte, slot uint32) []byte {
			if record, ok := changed[slotID{id.table, slot}]; ok {
				return append(dst, record...)
			}
			return l.owner.AppendRecord(dst, id.table, slot)
		})
		l.ops = append(l.ops, storage.SetOperation(pageKey(id), appendSealed(nil, pageKey(id), body)))
	}
	return err
}

func (l *Ledger) forgetPages(written int) {
	for _, p := range l.behind[:written] {
		p.dirty = false
	}
	l.behind = slices.Delete(l.behind, 0, written)
}

func (l *Ledger) forgetLog(keep uint64) {
	for ; l.oldest < keep; l.oldest++ {
		l.logged -= l.kept[0].bytes
		l.kept = l.kept[1:]
	}
}

// append notes that the next log entry is stored and which pages it is ahead of.
func (l *Ledger) append(size extent, touched []pageID) {
	for _, id := range touched {
		l.markBehind(id, l.next)
	}
	l.kept = append(l.kept, size)
	l.logged += size.bytes
	l.next++
}

func (l *Ledger) page(id pageID) *page {
	p := l.pages[id]
	if p == nil {
		p = &page{id: id}
		l.pages[id] = p
	}
	return p
}

func (l *Ledger) markBehind(id pageID, entry uint64) {
	if p := l.page(id); !p.dirty && p.has != entry {
		p.dirty, p.since = true, entry
		l.behind = append(l.behind, p)
	}
}
