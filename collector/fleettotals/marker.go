package fleettotals

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fleet-telemetry/collector/internal/ledger"
)

// Beside the store lie a marker, which tells that there is one, and whatever was set aside or noted until somebody removes it.
const (
	markerSuffix = ".known"
	asideInfix   = ".aside-"
	asideTime    = "20060102T150405.000"
)

var errInUse = errors.New("another collector uses it: stop that one, or give this one a directory of its own")

// readMarker is the identity of the store that was last used; empty if there is none. A marker that cannot be read says as much as
// one without a birth: that there was a store.
func (s *store) readMarker() (ledger.Identity, error) {
	content, err := os.ReadFile(s.path + markerSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return ledger.Identity{}, nil
	}
	if err != nil {
		return ledger.Identity{}, fmt.Errorf("the marker of the totals' store cannot be read: %w", err)
	}
	var marker ledger.Identity
	if json.Unmarshal(content, &marker) != nil || marker.Name == "" {
		marker.Name = "unknown"
	}
	return marker, nil
}

func (s *store) writeMarker(identity ledger.Identity) error {
	content, err := json.Marshal(identity)
	if err != nil {
		return err
	}
	known, err := os.ReadFile(s.path + markerSuffix)
	if err == nil && string(known) == string(content) {
		return nil
	}
	temporary := s.path + markerSuffix + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("the marker of the totals' store cannot be written: %w", err)
	}
	return os.Rename(temporary, s.path+markerSuffix)
}

// note leaves a file that counts as set aside. Without room for it there is still the log.
func (s *store) note(what, text string) {
	name := s.path + asideInfix + what + "-" + time.Now().UTC().Format(asideTime)
	_ = os.WriteFile(name, []byte(text), 0o600)
}

// aside is how many files were set aside or noted and are still there.
func (s *store) aside() int64 {
	if s.path == "" {
		return 0
	}
	count := int64(0)
	files, _ := os.ReadDir(filepath.Dir(s.path)) // a directory that cannot be read has nothing to tell
	for _, file := range files {
		if strings.HasPrefix(file.Name(), filepath.Base(s.path)+asideInfix) {
			count++
		}
	}
	return count
}

// withFile reads the file while nobody else can have it open.
func (s *store) withFile(read func(*os.File) error) error {
	file, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := lock(file, s.patience); err != nil {
		return err
	}
	return read(file)
}
