package ledger

import (
	"context"
	"errors"
	"syscall"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// ballastChunks is how many records without worth are kept, so that there is something to give up when the storage is full.
const (
	ballastChunks = 64
	entriesPerCut = 32
)

// IsFull tells whether an error means that the storage has no room.
func IsFull(err error) bool {
	return errors.Is(err, storage.ErrStorageFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// relieve makes room in a storage that cannot grow: it gives up the ballast, and writes the pages one by one, each of which frees what
// it replaces and makes log entries needless. It takes small steps, since each needs a little room itself. It tells whether anything
// could be done.
func (l *Ledger) relieve(ctx context.Context) bool {
	relieved := false
	if l.ballast && l.client.Batch(ctx, ballast(storage.Delete)...) == nil {
		l.ballast, relieved = false, true
	}
	for {
		keep := min(l.needed(0), l.oldest+entriesPerCut)
		written := 0
		if keep == l.oldest {
			written = min(len(l.behind), 1)
		}
		if keep == l.oldest && written == 0 || l.cut(ctx, written, keep) != nil {
			return relieved
		}
		relieved = true
	}
}

// cut writes so many pages and deletes the log entries before one.
func (l *Ledger) cut(ctx context.Context, written int, keep uint64) error {
	l.ops = l.ops[:0]
	l.cutOperations(written, keep)
	if err := l.client.Batch(ctx, l.ops...); err != nil {
		return err
	}
	l.forgetPages(written)
	l.forgetLog(keep)
	return nil
}

// keepBallast stores the ballast if it is not there, and tells whether it is.
func (l *Ledger) keepBallast(ctx context.Context) bool {
	if !l.ballast {
		l.ballast = l.client.Batch(ctx, ballast(storage.Set)...) == nil
	}
	return l.ballast
}

func ballast(do storage.OpType) []*storage.Operation {
	ops := make([]*storage.Operation, ballastChunks)
	for i := range ops {
		key := string([]byte{ballastPrefix, byte(i)})
		ops[i] = &storage.Operation{Key: key, Type: do}
		if do == storage.Set {
			ops[i].Value = appendSealed(nil, key, make([]byte, chunkSize))
		}
	}
	return ops
}
