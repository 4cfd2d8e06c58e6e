package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

const bucket = "default"

// database is the bytes of a database that bbolt wrote, with so many records of one size.
func database(t testing.TB, records, size int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 { // pages are freed and used again
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			for i := 0; i < records && err == nil; i++ {
				err = b.Put(fmt.Appendf(nil, "key %05d", i), bytes.Repeat([]byte{byte(round)}, size))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func read(content []byte) (records int, lostMeta bool, err error) {
	f, err := Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return 0, false, err
	}
	err = f.Records(bucket, func(_, _ []byte) error { records++; return nil })
	return records, f.LostMeta, err
}

// What bbolt wrote is read whole: a bucket inside its record, in one page, in a tree, with values over several pages.
func TestReadsWhatBboltWrote(t *testing.T) {
	for _, c := range []struct{ records, size int }{{0, 0}, {3, 10}, {50, 60}, {5_000, 50}, {40, 30_000}} {
		records, lost, err := read(database(t, c.records, c.size))
		if err != nil || lost || records != c.records {
			t.Errorf("%v: %d records, lost meta page %v, %v", c, records, lost, err)
		}
	}
}

// A file without content is told apart from a damaged one.
func TestEmptyFileIsNew(t *testing.T) {
	if _, _, err := read(nil); !errors.Is(err, ErrEmpty) {
		t.Fatal(err)
	}
}

// A file that was cut anywhere in its used part is an error.
func TestCutFileIsSeen(t *testing.T) {
	content := database(t, 500, 200)
	for _, size := range []int{1, 100, 4096, 9000, len(content) / 2} {
		if _, _, err := read(content[:size]); err == nil {
			t.Errorf("cut to %d bytes: no error", size)
		}
	}
}

// With one meta page damaged the other one is used, and that is told; with both it is an error.
func TestOneMetaPageIsEnough(t *testing.T) {
	for _, page := range []int{0, 1} {
		content := database(t, 500, 50)
		copy(content[page*4096:], make([]byte, 4096))
		records, lost, err := read(content)
		if err != nil || !lost || records != 500 {
			t.Errorf("without meta page %d: %d records, lost meta page %v, %v", page, records, lost, err)
		}
	}
	content := database(t, 500, 50)
	copy(content, make([]byte, 8192))
	if _, _, err := read(content); err == nil {
		t.Error("without meta pages: no error")
	}
}

// Whatever is written over the pages, reading ends, and what was read without an error bbolt can open and read, too.
func TestRandomDamage(t *testing.T) {
	sound := database(t, 300, 120)
	r := rand.New(rand.NewSource(1))
	seen := 0
	for range 300 {
		content := bytes.Clone(sound)
		for range 1 + r.Intn(20) {
			content[8192+r.Intn(len(content)-8192)] = byte(r.Intn(256))
		}
		if _, _, err := read(content); err != nil {
			seen++
			continue
		}
		openWithBbolt(t, content)
	}
	if seen < 30 {
		t.Errorf("only %d of 300 damaged files were seen", seen)
	}
}

func openWithBbolt(t *testing.T, content []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte("key 00100x"), []byte("new")) })
	if err != nil {
		t.Fatal(err)
	}
}

// No bytes make the reader panic or run for ever.
func FuzzRecords(f *testing.F) {
	f.Add(database(f, 30, 40)[:32768])
	f.Add([]byte("no database"))
	f.Fuzz(func(_ *testing.T, content []byte) { _, _, _ = read(content) })
}
