package fleettotals

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// files is the collector's own storage extension in a directory.
func files(t testing.TB, directory string, maxSize int64) storage.Extension {
	t.Helper()
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory, config.MaxSize = directory, maxSize
	settings := extension.Settings{ID: storageID, TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	made, err := factory.Create(context.Background(), settings, config)
	if err != nil {
		t.Fatal(err)
	}
	return made.(storage.Extension)
}

func in(directory string) edit { return func(c *Config) { c.Directory = directory } }

// filled is a directory with a store that has some totals, and its file.
func filled(t testing.TB) (directory, file string) {
	directory = t.TempDir()
	p := begin(t, files(t, directory, 0), newPage(), in(directory))
	for n := range 300 {
		newRequest().from(fmt.Sprint(n%20), int64(n/20+1)).count("c", 1, "k", fmt.Sprint(n)).send(t, p)
	}
	end(t, p)
	return directory, filepath.Join(directory, "processor_fleet_totals__totals")
}

func asides(t testing.TB, file string) []string {
	t.Helper()
	found, err := filepath.Glob(file + asideInfix + "*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A sound store is restored, by the same name that file_storage gives it.
func TestStoreIsRestored(t *testing.T) {
	directory, file := filled(t)
	p := begin(t, files(t, directory, 0), newPage(), in(directory))
	defer end(t, p)
	if got := sumOf(p, "c"); got != 300 || len(p.senders.entries) != 20 || len(asides(t, file)) != 0 {
		t.Error(got, len(p.senders.entries), asides(t, file))
	}
}

// A store that cannot be used is set aside, nothing of it is taken over, and the collector counts from 0 in a new one; what was set
// aside is told until somebody removes it.
func TestDamagedStoreIsSetAside(t *testing.T) {
	overwrite := func(from int, with []byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[from:], with); return b }
	}
	random := make([]byte, 1<<16)
	rand.New(rand.NewSource(1)).Read(random)
	for name, damage := range map[string]func([]byte) []byte{
		"no meta page":    overwrite(0, make([]byte, 8192)),
		"random pages":    overwrite(8192, random),
		"cut":             func(b []byte) []byte { return b[:9_000] },
		"half":            func(b []byte) []byte { return b[:len(b)/2] },
		"foreign":         func([]byte) []byte { return bytes.Repeat([]byte("no database\n"), 2_000) },
		"a flipped label": func(b []byte) []byte { return flip(t, b, "environment") },
	} {
		directory, file := filled(t)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, damage(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p := begin(t, files(t, directory, 0), newPage(), in(directory))
		newRequest().count("new", 1).send(t, p)
		expect(t, p, "new{environment=dev} 1")
		if len(asides(t, file)) != 1 || p.store.aside() != 1 {
			t.Errorf("%s: set aside are %v", name, asides(t, file))
		}
		end(t, p)
		p = begin(t, files(t, directory, 0), newPage(), in(directory))
		expect(t, p, "new{environment=dev} 1")
		end(t, p)
	}
}

// flip flips a bit of each place that has the text: some are of records, some of pages that are no longer used.
func flip(t *testing.T, b []byte, text string) []byte {
	t.Helper()
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(text))
		if i < 0 {
			return b
		}
		b[at+i] ^= 1
		at += i + len(text)
	}
}

// With one of the two meta pages lost the totals are there, at most one commit short, and it is told.
func TestOneLostMetaPageIsTold(t *testing.T) {
	for page := range 2 {
		directory, file := filled(t)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		copy(content[page*os.Getpagesize():], make([]byte, 100))
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		p := begin(t, files(t, directory, 0), newPage(), in(directory))
		if got := sumOf(p, "c"); got < 299 || p.store.aside() != 1 {
			t.Error("meta page", page, got, asides(t, file))
		}
		end(t, p)
	}
}

// A store that vanished, or is empty where one was known, is told; a first start is not.
func TestLostStoreIsTold(t *testing.T) {
	for name, lose := range map[string]func(string) error{
		"removed": os.Remove, "emptied": func(file string) error { return os.Truncate(file, 0) },
	} {
		directory, file := filled(t)
		if len(asides(t, file)) != 0 {
			t.Error("a first start is told as a loss")
		}
		if err := lose(file); err != nil {
			t.Fatal(err)
		}
		p := begin(t, files(t, directory, 0), newPage(), in(directory))
		if found := asides(t, file); len(found) != 1 || !strings.Contains(found[0], "lost") {
			t.Errorf("%s: told is %v", name, found)
		}
		end(t, p)
		p = begin(t, files(t, directory, 0), newPage(), in(directory))
		if len(asides(t, file)) != 1 {
			t.Errorf("%s: told again at the next start", name)
		}
		end(t, p)
	}
}

// A store of a newer version is left as it is, and the refusal to start says what to do.
func TestNewerStoreIsLeftAlone(t *testing.T) {
	directory, file := filled(t)
	before, _ := os.ReadFile(file)
	marker := []byte(`{"format": 2, "name": "x", "birth": 1}`)
	if err := os.WriteFile(file+markerSuffix, marker, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := start(files(t, directory, 0), newPage(), in(directory))
	if err == nil || !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), "move the file") {
		t.Error(err)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) || len(asides(t, file)) != 0 {
		t.Error("the store was touched")
	}
}

// Two collectors do not use one store: the second one says so and touches nothing.
func TestStoreInUseIsLeftAlone(t *testing.T) {
	directory, file := filled(t)
	p := begin(t, files(t, directory, 0), newPage(), in(directory))
	defer end(t, p)
	_, err := start(files(t, directory, 0), newPage(), in(directory))
	if err == nil || !strings.Contains(err.Error(), "another collector") || len(asides(t, file)) != 0 {
		t.Error(err, asides(t, file))
	}
}

// A directory that is not the storage extension's is noticed: its file would go unchecked.
func TestWrongDirectoryIsNoticed(t *testing.T) {
	_, err := start(files(t, t.TempDir(), 0), newPage(), in(t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "set the directory of both") {
		t.Error(err)
	}
}

// In a store that has reached its size, known series go on for ever and new ones are refused; nothing is lost over a restart.
func TestFullFile(t *testing.T) {
	directory := t.TempDir()
	const size = 2 << 20
	many := func(c *Config) { c.Budget.MaxSeries, c.Budget.UnknownSeries = 1_000_000, 1_000_000 }
	p := begin(t, files(t, directory, size), newPage(), in(directory), many)
	newRequest().from("a", 1).count("c", 1, "k", "known").send(t, p)
	refused := 0
	for n := 0; refused < 3; n++ {
		r := newRequest()
		for i := range 100 {
			r.count("c", 1, "k", fmt.Sprint(strings.Repeat("x", 100), n, i))
		}
		p.fullTill = 0
		if p.ConsumeMetrics(context.Background(), r.md) != nil {
			refused++
		}
		if n > 1_000 {
			t.Fatal("the store never fills")
		}
	}
	for sequence := range int64(3_000) {
		newRequest().from("a", sequence+2).count("c", 1, "k", "known").send(t, p)
	}
	before := sums(p)
	end(t, p)
	p = begin(t, files(t, directory, size), newPage(), in(directory), many)
	defer end(t, p)
	if sums(p) != before {
		t.Error("the totals are not what they were")
	}
	newRequest().from("a", 3_001).count("c", 1, "k", "known").send(t, p)
	if p.tally.duplicates != 1 {
		t.Error("the last export is not known any more")
	}
}

// file_storage gives other names of components other files.
func TestFileName(t *testing.T) {
	for id, want := range map[component.ID]string{
		component.MustNewID("fleet_totals"):                  "processor_fleet_totals__totals",
		component.MustNewIDWithName("fleet_totals", "a/b~c"): "processor_fleet_totals_a~002Fb~007Ec_totals",
	} {
		if got := fileName(id); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
