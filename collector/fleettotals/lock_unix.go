//go:build unix

package fleettotals

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lock waits until nobody else has the file locked, as bbolt does; closing the file ends it.
func lock(file *os.File, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(deadline) {
			return errInUse
		}
	}
}
