package ledger

import (
	"encoding/binary"
	"slices"
)

// maxSlots bounds what a damaged entry could make a reader allocate.
const maxSlots = 1 << 26

// Transaction collects the records that one commit changes. Each may be put once or more often, the last one counts.
//
// A record is written between Begin (or Create) and End, into the transaction's own space:
//
//	b := t.Begin(table, slot)
//	b = append(b, …)
//	t.End(b)
type Transaction struct {
	// Grows says that it makes records that stay.
	Grows bool

	body    []byte
	pages   []pageID
	created []pageID
	begin   int // of the record that is being written
}

// Reset empties it and keeps its space.
func (t *Transaction) Reset() {
	*t = Transaction{body: t.body[:0], pages: t.pages[:0], created: t.created[:0]}
}

// Len is the bytes it has so far.
func (t *Transaction) Len() int { return len(t.body) }

// Begin begins a record; what is appended to the answer belongs to it, and goes to End.
func (t *Transaction) Begin(table byte, slot uint32) []byte {
	t.pages = note(t.pages, pageID{table, slot / pageSlots})
	b := binary.AppendUvarint(append(t.body, table), uint64(slot))
	t.begin = len(b)
	return append(b, 0) // most lengths take one byte
}

// Create begins a record whose slot was free. Its page is written with the commit: once a record is there, no change of it ever needs
// room for another page.
func (t *Transaction) Create(table byte, slot uint32) []byte {
	t.created = note(t.created, pageID{table, slot / pageSlots})
	return t.Begin(table, slot)
}

// End ends the record that was begun.
func (t *Transaction) End(b []byte) {
	size := len(b) - t.begin - 1
	if size < 0x80 {
		b[t.begin] = byte(size)
	} else {
		length := binary.AppendUvarint(nil, uint64(size))
		b = slices.Insert(b, t.begin+1, length[1:]...)
		b[t.begin] = length[0]
	}
	t.body = b
}

// Free makes a slot free.
func (t *Transaction) Free(table byte, slot uint32) { t.End(t.Begin(table, slot)) }

func note(pages []pageID, id pageID) []pageID {
	if n := len(pages); n > 0 && pages[n-1] == id {
		return pages
	}
	return append(pages, id)
}
