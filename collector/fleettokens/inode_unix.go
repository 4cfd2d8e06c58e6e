//go:build unix

package fleettokens

import (
	"os"
	"syscall"
)

func inode(found os.FileInfo) uint64 {
	if s, ok := found.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
