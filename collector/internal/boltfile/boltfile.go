// Package boltfile reads the records of a bbolt file without trusting a byte of it.
//
// bbolt maps its file and follows what stands there: a file that was cut, or whose pages were overwritten, ends the process in a
// way that no Go program can recover from. This reader opens nothing for writing, maps nothing, checks each offset and visits each
// page once; what it has read without an error, bbolt can open.
package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// ErrEmpty says that the file has no database yet: it is new.
var ErrEmpty = errors.New("the file is empty")

const (
	magic          = 0xED0CDAED
	version        = 2
	headerSize     = 16 // of a page, of an element and of a bucket
	metaSize       = 64
	branchPage     = 0x01
	leafPage       = 0x02
	metaPage       = 0x04
	bucketElement  = 0x01
	noFreelist     = ^uint64(0)
	maxDepth       = 32
	maxPageBytes   = 1 << 30
	smallestPage   = 1 << 9
	largestPage    = 1 << 16
	defaultForScan = 1 << 12
)

// File is a database of which the meta pages are sound.
type File struct {
	// LostMeta tells that one of the two meta pages is damaged: the last commit may be missing.
	LostMeta bool

	in       io.ReaderAt
	pageSize uint64
	root     uint64
	end      uint64 // the first page that was never used
	seen     []bool
}

type meta struct{ pageSize, root, freelist, end, transaction uint64 }

// Open reads the meta pages of a file of so many bytes.
//
// It fails with ErrEmpty for a file without content, and for one that is no database or shorter than what it says it holds.
func Open(in io.ReaderAt, size int64) (*File, error) {
	if size == 0 {
		return nil, ErrEmpty
	}
	first, firstErr := readMeta(in, 0, 0)
	second, secondErr := meta{}, firstErr
	if firstErr == nil {
		second, secondErr = readMeta(in, int64(first.pageSize), 1)
	} else {
		second, secondErr = findSecondMeta(in)
	}
	if firstErr != nil && secondErr != nil {
		return nil, fmt.Errorf("no sound meta page: %w", firstErr)
	}
	newest := first
	if firstErr != nil || secondErr == nil && second.transaction > first.transaction {
		newest = second
	}
	f := &File{LostMeta: firstErr != nil || secondErr != nil, in: in, pageSize: newest.pageSize, root: newest.root, end: newest.end}
	if newest.freelist != noFreelist {
		return nil, errors.New("it keeps a list of free pages, which file_storage does not write")
	}
	if f.end < 2 || f.end > uint64(size)/f.pageSize {
		return nil, fmt.Errorf("it is cut: %d bytes of %d", size, f.end*f.pageSize)
	}
	f.seen = make([]bool, f.end)
	return f, nil
}

// findSecondMeta looks at every page size there is, since the first meta page does not tell.
func findSecondMeta(in io.ReaderAt) (meta, error) {
	for size := int64(smallestPage); size <= largestPage; size *= 2 {
		if m, err := readMeta(in, size, 1); err == nil && m.pageSize == uint64(size) {
			return m, nil
		}
	}
	return readMeta(in, defaultForScan, 1)
}

func readMeta(in io.ReaderAt, offset int64, page uint64) (meta, error) {
	b := make([]byte, headerSize+metaSize)
	if _, err := in.ReadAt(b, offset); err != nil {
		return meta{}, fmt.Errorf("meta page %d cannot be read: %w", page, err)
	}
	body := b[headerSize:]
	word, long := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	m := meta{pageSize: uint64(word(body[8:])), root: long(body[16:]), freelist: long(body[32:]), end: long(body[40:]), transaction: long(body[48:])}
	sum := fnv.New64a()
	sum.Write(body[:56])
	switch {
	case word(body) != magic:
		return meta{}, errors.New("it is not a bbolt file")
	case word(body[4:]) != version:
		return meta{}, fmt.Errorf("it is a bbolt file of version %d, not %d", word(body[4:]), version)
	case sum.Sum64() != long(body[56:]) || long(b) != page || binary.LittleEndian.Uint16(b[8:]) != metaPage:
		return meta{}, fmt.Errorf("meta page %d is damaged", page)
	case m.pageSize < smallestPage || m.pageSize > largestPage || m.pageSize&(m.pageSize-1) != 0:
		return meta{}, fmt.Errorf("meta page %d tells a page size of %d", page, m.pageSize)
	}
	return m, nil
}

// Records calls visit for each record of a bucket in the order of its keys; key and value are valid during the call. Without the
// bucket there are none.
//
// It fails where a page is not what it has to be, and with what visit fails.
func (f *File) Records(bucket string, visit func(key, value []byte) error) error {
	clear(f.seen)
	w := &walk{file: f}
	var found []byte
	err := w.tree(f.root, func(flags uint32, key, value []byte) error {
		if flags&bucketElement == 0 {
			return errors.New("a record outside all buckets")
		}
		if string(key) == bucket {
			found = bytes.Clone(value)
			return nil
		}
		return f.otherBucket(value)
	})
	if err != nil || found == nil {
		return err
	}
	return f.bucket(found, func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return fmt.Errorf("record %q is a bucket", key)
		}
		return visit(key, value)
	})
}

// otherBucket reads what nobody asked for, because bbolt will.
func (f *File) otherBucket(value []byte) error {
	return f.bucket(value, func(flags uint32, _, inner []byte) error {
		if flags&bucketElement != 0 {
			return errors.New("buckets in buckets, which file_storage does not make")
		}
		return nil
	})
}

// bucket walks a bucket: a tree of its own or, if it is small, one page inside the record.
func (f *File) bucket(value []byte, visit visitor) error {
	if len(value) < headerSize {
		return errors.New("a bucket is cut")
	}
	w := &walk{file: f}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return w.tree(root, visit)
	}
	inline := value[headerSize:]
	if len(inline) < headerSize || binary.LittleEndian.Uint16(inline[8:]) != leafPage {
		return errors.New("an inline bucket is damaged")
	}
	return w.leaf(inline, visit)
}
