package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

type visitor func(flags uint32, key, value []byte) error

// walk goes through one tree; keys must ascend over all of its pages, and none may be below the key of the branch that leads to it.
type walk struct {
	file    *File
	last    []byte
	least   []byte
	started bool
}

func (w *walk) tree(root uint64, visit visitor) error { return w.page(root, 0, visit) }

func (w *walk) page(id uint64, depth int, visit visitor) error {
	if depth > maxDepth {
		return errors.New("the tree is deeper than any of its size")
	}
	page, err := w.file.read(id)
	if err != nil {
		return err
	}
	switch flags := binary.LittleEndian.Uint16(page[8:]); flags {
	case leafPage:
		return w.leaf(page, visit)
	case branchPage:
		return w.branch(page, depth, visit)
	default:
		return fmt.Errorf("page %d is of no known kind (%#x)", id, flags)
	}
}

func (w *walk) branch(page []byte, depth int, visit visitor) error {
	count := int(binary.LittleEndian.Uint16(page[10:]))
	if count == 0 {
		return errors.New("a branch page is empty")
	}
	for i := range count {
		element, err := elementAt(page, i)
		if err != nil {
			return err
		}
		key, err := within(page, i, uint64(binary.LittleEndian.Uint32(element)), binary.LittleEndian.Uint32(element[4:]))
		if err != nil {
			return err
		}
		if w.started && bytes.Compare(key, w.last) <= 0 || bytes.Compare(key, w.least) < 0 {
			return fmt.Errorf("branch %q is out of order", key)
		}
		w.least = append(w.least[:0], key...)
		if err := w.page(binary.LittleEndian.Uint64(element[8:]), depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) leaf(page []byte, visit visitor) error {
	for i := range int(binary.LittleEndian.Uint16(page[10:])) {
		element, err := elementAt(page, i)
		if err != nil {
			return err
		}
		flags, at := binary.LittleEndian.Uint32(element), uint64(binary.LittleEndian.Uint32(element[4:]))
		keySize, valueSize := binary.LittleEndian.Uint32(element[8:]), binary.LittleEndian.Uint32(element[12:])
		key, err := within(page, i, at, keySize)
		if err != nil {
			return err
		}
		value, err := within(page, i, at+uint64(keySize), valueSize)
		if err != nil {
			return err
		}
		if w.started && bytes.Compare(key, w.last) <= 0 || bytes.Compare(key, w.least) < 0 {
			return fmt.Errorf("record %q is out of order", key)
		}
		w.last, w.started = append(w.last[:0], key...), true
		if err := visit(flags, key, value); err != nil {
			return err
		}
	}
	return nil
}

func elementAt(page []byte, i int) ([]byte, error) {
	from := headerSize * (i + 1)
	if from+headerSize > len(page) {
		return nil, errors.New("a page holds fewer elements than it says")
	}
	return page[from : from+headerSize], nil
}

// within is what an element points at: so many bytes, counted from the element itself.
func within(page []byte, element int, at uint64, size uint32) ([]byte, error) {
	from := uint64(headerSize*(element+1)) + at
	if from+uint64(size) > uint64(len(page)) {
		return nil, errors.New("an element points out of its page")
	}
	return page[from : from+uint64(size)], nil
}

// read is a page with all that overflows into the next ones.
func (f *File) read(id uint64) ([]byte, error) {
	if id < 2 || id >= f.end {
		return nil, fmt.Errorf("page %d is outside of the file", id)
	}
	header := make([]byte, headerSize)
	if _, err := f.in.ReadAt(header, int64(id*f.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d cannot be read: %w", id, err)
	}
	pages := uint64(binary.LittleEndian.Uint32(header[12:])) + 1
	if binary.LittleEndian.Uint64(header) != id || pages > f.end-id || pages*f.pageSize > maxPageBytes {
		return nil, fmt.Errorf("page %d is damaged", id)
	}
	for i := id; i < id+pages; i++ {
		if f.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		f.seen[i] = true
	}
	page := make([]byte, pages*f.pageSize)
	if _, err := f.in.ReadAt(page, int64(id*f.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d cannot be read: %w", id, err)
	}
	return page, nil
}
