package fleettotals

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/fleet-telemetry/collector/internal/boltfile"
	"github.com/fleet-telemetry/collector/internal/ledger"
)

const (
	storageName = "totals"
	// bucketName is where file_storage keeps its records in the file.
	bucketName = "default"
)

// store is the file of the totals, as far as it is one.
type store struct {
	path           string
	patience       time.Duration // with another collector that still has it open
	restoreSeconds float64
}

func newStore(config *Config, id component.ID) store {
	s := store{patience: 5 * time.Second}
	if config.Directory != "" {
		s.path = filepath.Join(config.Directory, fileName(id))
	}
	return s
}

// openStore restores the totals and connects with their storage.
//
// A file is read before the storage extension opens it: what is wrong with it would end the process there. One that cannot be used is
// set aside under another name, and the collector begins anew: it has to go on counting, and somebody has to look.
func (t *totals) openStore(ctx context.Context, host component.Host) error {
	extension, ok := host.GetExtensions()[*t.config.Storage].(storage.Extension)
	if !ok {
		return fmt.Errorf("storage: %s is no storage extension of this collector: list it under service.extensions", t.config.Storage)
	}
	if t.config.Directory == "" {
		return t.openUnchecked(ctx, extension)
	}
	if err := t.readFile(); err != nil {
		return err
	}
	if err := t.connect(ctx, extension); err != nil {
		return err
	}
	if _, err := os.Stat(t.store.path); err != nil {
		return fmt.Errorf("directory: %s keeps its files elsewhere than in %s: set the directory of both to the same", t.config.Storage, t.config.Directory)
	}
	return t.store.writeMarker(t.ledger.Identity())
}

// openUnchecked is for storages that are no files of this machine.
func (t *totals) openUnchecked(ctx context.Context, extension storage.Extension) error {
	client, err := extension.GetClient(ctx, component.KindProcessor, t.id, storageName)
	if err != nil {
		return fmt.Errorf("the storage of the totals cannot be opened: %w", err)
	}
	t.client = client
	walker, ok := client.(storage.Walker)
	if !ok {
		return fmt.Errorf("storage: %s cannot list its records: use file_storage", t.config.Storage)
	}
	err = t.restore(func(each func(string, []byte) error) error {
		return walker.Walk(ctx, func(key string, value []byte) ([]*storage.Operation, error) { return nil, each(key, value) })
	})
	if err != nil && !errors.Is(err, ledger.ErrNew) {
		return fmt.Errorf("the stored totals cannot be used; remove them to begin anew, at the price of a reset of every counter: %w", err)
	}
	return t.attach(ctx)
}

func (t *totals) attach(ctx context.Context) error {
	t.mu.Lock() // the own metrics may be asked for meanwhile
	defer t.mu.Unlock()
	return t.ledger.Attach(ctx, t.client)
}

func (t *totals) connect(ctx context.Context, extension storage.Extension) error {
	client, err := extension.GetClient(ctx, component.KindProcessor, t.id, storageName)
	if err != nil {
		return fmt.Errorf("the storage of the totals cannot be opened; does another collector use %s? %w", t.config.Directory, err)
	}
	t.client = client
	return t.attach(ctx)
}

// readFile restores the totals from the file, or leaves a place for a new one.
func (t *totals) readFile() error {
	marker, err := t.store.readMarker()
	if err != nil {
		return err
	}
	if marker.Format > ledger.Format {
		return newerStore(t.store.path, fmt.Errorf("%w: %d", ledger.ErrNewer, marker.Format))
	}
	err = t.store.withFile(t.restoreFrom)
	isNew := errors.Is(err, ledger.ErrNew) || errors.Is(err, boltfile.ErrEmpty) || errors.Is(err, os.ErrNotExist)
	var access *os.PathError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrNewer):
		return newerStore(t.store.path, err)
	case isNew && marker.Name == "":
		return nil
	case isNew:
		return t.noteLoss(marker, err)
	case errors.As(err, &access) || errors.Is(err, errInUse):
		return fmt.Errorf("the store of the totals cannot be read: %w", err)
	default:
		return t.setAside(err)
	}
}

func (t *totals) restoreFrom(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	db, err := boltfile.Open(file, info.Size())
	if err != nil {
		return err
	}
	if db.LostMeta {
		t.log.Error("one of the two meta pages of the totals' store is damaged: the last commit before the damage may be missing",
			zap.String("file", t.store.path))
		t.store.note("damaged-meta-page", "One of two meta pages was damaged; the totals were read by the other one.\n")
	}
	return t.restore(func(each func(string, []byte) error) error {
		return db.Records(bucketName, func(key, value []byte) error { return each(string(key), value) })
	})
}

func newerStore(path string, err error) error {
	return fmt.Errorf("the store of the totals, %s, was written by a newer version of this collector and is left as it is (%w): "+
		"run that version, or move the file and %s away to begin anew at the price of a reset of every counter", path, err, filepath.Base(path)+markerSuffix)
}

// setAside renames what cannot be used.
func (t *totals) setAside(reason error) error {
	aside := t.store.path + asideInfix + "damaged-" + time.Now().UTC().Format(asideTime)
	if err := os.Rename(t.store.path, aside); err != nil {
		return fmt.Errorf("the store of the totals is damaged (%w) and cannot be renamed: move it away yourself: %w", reason, err)
	}
	t.log.Error("the store of the totals is damaged: it is set aside and every counter begins anew",
		zap.String("file", t.store.path), zap.String("set_aside_as", aside), zap.Error(reason))
	return nil
}

// noteLoss leaves a note where a store was known and is gone.
func (t *totals) noteLoss(marker ledger.Identity, reason error) error {
	t.log.Error("the store of the totals is gone or empty, although there was one: every counter begins anew",
		zap.String("file", t.store.path), zap.Time("begun", time.Unix(0, marker.Birth)), zap.NamedError("found", reason))
	born := time.Unix(0, marker.Birth).UTC().Format(time.RFC3339)
	t.store.note("lost", fmt.Sprintf("A store that was begun at %s was gone or empty: %v\n", born, reason))
	return nil
}

// fileName is what file_storage calls the file of a processor.
func fileName(id component.ID) string {
	var name strings.Builder
	for _, r := range fmt.Sprintf("processor_%s_%s_%s", id.Type(), id.Name(), storageName) {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			name.WriteRune(r)
		} else {
			fmt.Fprintf(&name, "~%04X", r)
		}
	}
	return name.String()
}
