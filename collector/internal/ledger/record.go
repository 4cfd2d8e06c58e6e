package ledger

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// Keys of the storage:
//
//	b chunk      ballast
//	i            identity of the store
//	p table no.  a page: the records of neighbouring slots that are not free
//	w no. chunk  an entry of the log, in chunks; the first one tells how many they are
//
// Each value is a version, a body and a checksum over key, version and body: the storage has none of its own.
const (
	identityKey   = "i"
	ballastPrefix = 'b'
	pagePrefix    = 'p'
	logPrefix     = 'w'
	recordVersion = 1
	checksumSize  = 4
	sealSize      = 1 + checksumSize
	maxCountSize  = binary.MaxVarintLen32
)

// Format is the layout of keys and records that this build writes, and the newest it reads.
const Format = 1

var (
	// ErrDamaged says that what is stored is not what was written.
	ErrDamaged = errors.New("the store is damaged")
	// ErrNewer says that a newer build wrote the store.
	ErrNewer = errors.New("the store is of a newer format")
)

// Identity is what a store says about itself.
type Identity struct {
	Format int    `json:"format"`
	Name   string `json:"name"`  // random
	Birth  int64  `json:"birth"` // unix nanoseconds
}

func pageKey(id pageID) string {
	return string(binary.BigEndian.AppendUint32([]byte{pagePrefix, id.table}, id.number))
}

func logKey(number uint64, chunk int) string {
	b := binary.BigEndian.AppendUint64([]byte{logPrefix}, number)
	return string(binary.BigEndian.AppendUint32(b, uint32(chunk)))
}

func chunksOf(size int) int { return max(1, (size+chunkSize-1)/chunkSize) }

// appendCount begins the first chunk of an entry.
func appendCount(b []byte, chunk, chunks int) []byte {
	if chunk > 0 {
		return b
	}
	return binary.AppendUvarint(b, uint64(chunks))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendSealed appends a value whose body is all parts.
func appendSealed(dst []byte, key string, parts ...[]byte) []byte {
	begin := len(dst)
	dst = append(dst, recordVersion)
	for _, part := range parts {
		dst = append(dst, part...)
	}
	return binary.LittleEndian.AppendUint32(dst, checksum(key, dst[begin:]))
}

func unseal(key string, value []byte) ([]byte, error) {
	at := len(value) - checksumSize
	if at < 1 || checksum(key, value[:at]) != binary.LittleEndian.Uint32(value[at:]) {
		return nil, fmt.Errorf("%w: the checksum of record %q is wrong", ErrDamaged, key)
	}
	if value[0] != recordVersion {
		return nil, fmt.Errorf("%w: record %q has version %d, this build reads %d", ErrNewer, key, value[0], recordVersion)
	}
	return value[1:at], nil
}

func checksum(key string, sealed []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, sealed)
}

func parseIdentity(body []byte) (Identity, error) {
	var identity Identity
	if err := json.Unmarshal(body, &identity); err != nil || identity.Format < 1 || identity.Name == "" {
		return Identity{}, fmt.Errorf("%w: its identity cannot be read", ErrDamaged)
	}
	if identity.Format > Format {
		return Identity{}, fmt.Errorf("%w: it has format %d, this build reads %d", ErrNewer, identity.Format, Format)
	}
	return identity, nil
}

// appendPage encodes the records of a page, each after its place in the page and its length.
func appendPage(dst []byte, id pageID, appendRecord func(dst []byte, slot uint32) []byte) []byte {
	var record []byte
	for place := range uint32(pageSlots) {
		record = appendRecord(record[:0], id.number*pageSlots+place)
		if len(record) == 0 {
			continue
		}
		dst = append(dst, byte(place))
		dst = append(binary.AppendUvarint(dst, uint64(len(record))), record...)
	}
	return dst
}

func visitPage(id pageID, body []byte, visit Visitor) error {
	for len(body) > 0 {
		place := body[0]
		record, rest, err := cutRecord(body[1:])
		if err != nil || place >= pageSlots || len(record) == 0 {
			return fmt.Errorf("%w: page %d of table %q cannot be read", ErrDamaged, id.number, id.table)
		}
		if err := visit(id.table, id.number*pageSlots+uint32(place), record); err != nil {
			return err
		}
		body = rest
	}
	return nil
}

// visitEntry goes through one entry of the log; a record without content is a slot that became free.
func visitEntry(body []byte, visit Visitor) error {
	for len(body) > 0 {
		slot, n := binary.Uvarint(body[1:])
		if n <= 0 || slot >= maxSlots {
			return fmt.Errorf("%w: an entry of the log cannot be read", ErrDamaged)
		}
		record, rest, err := cutRecord(body[1+n:])
		if err != nil {
			return err
		}
		if err := visit(body[0], uint32(slot), record); err != nil {
			return err
		}
		body = rest
	}
	return nil
}

func cutRecord(b []byte) (record, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, fmt.Errorf("%w: a record is cut", ErrDamaged)
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}
