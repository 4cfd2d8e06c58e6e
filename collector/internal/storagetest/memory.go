// Package storagetest has a storage in memory whose commits can be made to fail, to wait, and to be lost with their answers.
package storagetest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// Memory is a storage extension with one client, which is itself.
type Memory struct {
	// Before is asked before a batch is applied: an error refuses it.
	Before func(ops []*storage.Operation) error
	// After is asked when a batch is applied: an error is the answer although it is.
	After func() error

	mu   sync.Mutex
	kept map[string][]byte
}

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{kept: map[string][]byte{}} }

// Copy is the storage as a process that is killed now would leave it.
func (m *Memory) Copy() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{kept: maps.Clone(m.kept)}
}

// Records calls each for each record in the order of the keys.
func (m *Memory) Records(each func(key string, value []byte) error) error {
	m.mu.Lock()
	kept := maps.Clone(m.kept)
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(kept)) {
		if err := each(key, kept[key]); err != nil {
			return err
		}
	}
	return nil
}

// Size is the bytes of all records.
func (m *Memory) Size() (size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, value := range m.kept {
		size += len(key) + len(value)
	}
	return size
}

// Put replaces a record behind everybody's back.
func (m *Memory) Put(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[key] = value
}

// Batch implements storage.Client.
func (m *Memory) Batch(_ context.Context, ops ...*storage.Operation) error {
	if m.Before != nil {
		if err := m.Before(ops); err != nil {
			return err
		}
	}
	m.apply(ops)
	if m.After != nil {
		return m.After()
	}
	return nil
}

func (m *Memory) apply(ops []*storage.Operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = m.kept[op.Key]
		case storage.Set:
			m.kept[op.Key] = bytes.Clone(op.Value)
		case storage.Delete:
			delete(m.kept, op.Key)
		}
	}
}

// Get implements storage.Client.
func (m *Memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[key], nil
}

// Set implements storage.Client.
func (m *Memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

// Delete implements storage.Client.
func (m *Memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

// Close implements storage.Client.
func (m *Memory) Close(context.Context) error { return nil }

// Walk implements storage.Walker.
func (m *Memory) Walk(_ context.Context, visit storage.WalkFunc) error {
	return m.Records(func(key string, value []byte) error {
		_, err := visit(key, value)
		return err
	})
}

// Start implements component.Component.
func (m *Memory) Start(context.Context, component.Host) error { return nil }

// Shutdown implements component.Component.
func (m *Memory) Shutdown(context.Context) error { return nil }

// GetClient implements storage.Extension.
func (m *Memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}
