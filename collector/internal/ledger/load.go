package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// Records calls its argument for each record of a store, in any order.
type Records func(each func(key string, value []byte) error) error

// Visitor gets each stored record, in any order of tables and slots; the last one of a slot counts. An empty record is a free slot.
type Visitor func(table byte, slot uint32, record []byte) error

// ErrNew says that the store has nothing yet, not even an identity.
var ErrNew = errors.New("the store is new")

// chunk is a part of a log entry.
type chunk struct {
	number uint64
	index  uint32
	body   []byte
}

// Load reads a store. It fails with ErrNew, ErrNewer or ErrDamaged, or with what visit or the reading itself fails with.
func (l *Ledger) Load(records Records, visit Visitor) error {
	var log []chunk
	var problem error
	found := 0
	err := records(func(key string, value []byte) error {
		found++
		body, err := unseal(key, value)
		if err == nil && (problem == nil || key == identityKey) {
			err = l.load(key, body, visit, &log)
		}
		if errors.Is(err, ErrNewer) {
			return err
		}
		if problem == nil { // and the identity is still looked for: what seems damaged may be newer
			problem = err
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case problem != nil:
		return problem
	case found == 0:
		return ErrNew
	case l.identity.Name == "":
		return fmt.Errorf("%w: it has records and no identity", ErrDamaged)
	}
	return l.replay(log, visit)
}

func (l *Ledger) load(key string, body []byte, visit Visitor, log *[]chunk) (err error) {
	switch {
	case key == identityKey:
		l.identity, err = parseIdentity(body)
		return err
	case len(key) == 2 && key[0] == ballastPrefix:
		l.ballast = true
		return nil
	case len(key) == 6 && key[0] == pagePrefix:
		id := pageID{key[1], binary.BigEndian.Uint32([]byte(key[2:]))}
		if id.number >= maxSlots/pageSlots {
			return fmt.Errorf("%w: there is no page %d", ErrDamaged, id.number)
		}
		return visitPage(id, body, visit)
	case len(key) == 13 && key[0] == logPrefix:
		number, index := binary.BigEndian.Uint64([]byte(key[1:])), binary.BigEndian.Uint32([]byte(key[9:]))
		*log = append(*log, chunk{number, index, bytes.Clone(body)})
		return nil
	default:
		return fmt.Errorf("%w: record %q is none of ours", ErrDamaged, key)
	}
}

func (l *Ledger) replay(log []chunk, visit Visitor) error {
	slices.SortFunc(log, func(a, b chunk) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.index, b.index))
	})
	if len(log) > 0 {
		l.next, l.oldest = log[0].number, log[0].number
	}
	for len(log) > 0 {
		body, chunks, err := join(l.next, log)
		if err != nil {
			return err
		}
		var touched []pageID
		err = visitEntry(body, func(table byte, slot uint32, record []byte) error {
			touched = append(touched, pageID{table, slot / pageSlots})
			return visit(table, slot, record)
		})
		if err != nil {
			return err
		}
		l.append(extent{len(body), chunks}, touched)
		log = log[chunks:]
	}
	return nil
}

// join puts the entry of a number together, which is at the front of the log.
func join(number uint64, log []chunk) (body []byte, chunks int, err error) {
	missing := fmt.Errorf("%w: a part of entry %d of the log is missing", ErrDamaged, number)
	count, n := binary.Uvarint(log[0].body)
	if n <= 0 || count < 1 || count > uint64(len(log)) {
		return nil, 0, missing
	}
	for i, c := range log[:count] {
		if c.number != number || c.index != uint32(i) {
			return nil, 0, missing
		}
		if i == 0 {
			c.body = c.body[n:]
		}
		body = append(body, c.body...)
	}
	return body, int(count), nil
}

// Attach connects what was loaded, or a new store, with the storage that commits go to.
//
// It fails if the storage holds something else by now: another process wrote to it, or it is another one.
func (l *Ledger) Attach(ctx context.Context, client storage.Client) error {
	l.client = client
	stored, last, following := storage.GetOperation(identityKey), storage.GetOperation(logKey(l.next-1, 0)), storage.GetOperation(logKey(l.next, 0))
	if err := client.Batch(ctx, stored, last, following); err != nil {
		return err
	}
	if l.identity.Name == "" && stored.Value == nil {
		return l.create(ctx)
	}
	body, err := unseal(identityKey, stored.Value)
	if err != nil {
		return err
	}
	identity, err := parseIdentity(body)
	if err != nil {
		return err
	}
	if identity != l.identity || following.Value != nil || (last.Value == nil) != (len(l.kept) == 0) {
		return errors.New("the store is not the one that was read: does another collector use it, or another directory?")
	}
	l.keepBallast(ctx)
	return nil
}

func (l *Ledger) create(ctx context.Context) error {
	identity := Identity{Format: Format, Name: rand.Text(), Birth: time.Now().UnixNano()}
	body, err := json.Marshal(identity)
	if err != nil {
		return err
	}
	if err := l.client.Set(ctx, identityKey, appendSealed(nil, identityKey, body)); err != nil {
		return err
	}
	l.identity = identity
	l.keepBallast(ctx)
	return nil
}
