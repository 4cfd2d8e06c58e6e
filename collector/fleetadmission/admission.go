// Package fleetadmission is an extension that bounds the memory of requests before anything is made of them. A request takes many times
// its size while it is decoded: a few kilobytes that were compressed well, sent often enough at once, would end the process, and a
// processor sees a request only when it is decoded.
package fleetadmission

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"golang.org/x/sync/semaphore"
)

const mib = 1 << 20

var (
	_ extensionmiddleware.HTTPServer = (*admission)(nil)
	_ extensionmiddleware.GRPCServer = (*admission)(nil)
)

// NewFactory makes the factory of `fleet_admission`.
func NewFactory() extension.Factory {
	return extension.NewFactory(component.MustNewType("fleet_admission"), defaultConfig, create, component.StabilityLevelBeta)
}

func create(_ context.Context, set extension.Settings, config component.Config) (extension.Extension, error) {
	return newAdmission(config.(*Config), set.TelemetrySettings)
}

type admission struct {
	component.StartFunc
	component.ShutdownFunc

	config  *Config
	own     *instruments
	turn    *semaphore.Weighted // bytes that are decoded and counted
	waiting room                // bytes of HTTP in memory
	streams room                // requests of gRPC
}

func newAdmission(config *Config, set component.TelemetrySettings) (*admission, error) {
	own, err := newInstruments(set)
	return &admission{
		config: config, own: own, turn: semaphore.NewWeighted(config.RequestLimitMiB * mib),
		waiting: room{size: config.WaitingLimitMiB * mib}, streams: room{size: config.MaxGRPCRequests},
	}, err
}

// takeTurn waits until a request of this size may be decoded. What it gives ends the turn.
func (a *admission) takeTurn(ctx context.Context, bytes int) (func(), error) {
	weight := min(int64(bytes), a.config.RequestLimitMiB*mib)
	if err := a.turn.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { a.turn.Release(weight) }, nil
}

// room is a bound that nobody waits for.
type room struct {
	size int64
	used atomic.Int64
}

func (r *room) take(n int64) bool { return r.takeMore(0, n) }

// takeMore takes n beyond what is held, or gives back all that is held, at once: of requests that fill the room together the last one goes on.
func (r *room) takeMore(held, n int64) bool {
	for {
		used := r.used.Load()
		after, fits := used+n, used+n <= r.size
		if !fits {
			after = used - held
		}
		if r.used.CompareAndSwap(used, after) {
			return fits
		}
	}
}

func (r *room) give(n int64) { r.used.Add(-n) }
