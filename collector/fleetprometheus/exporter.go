// Package fleetprometheus is an exporter that shows the last value of each series on a Prometheus page. It keeps little of a series, and
// makes a page family by family of that.
package fleetprometheus

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fleet-telemetry/collector/internal/handover"
)

// NewFactory makes the factory of `fleet_prometheus`.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(component.MustNewType("fleet_prometheus"), defaultConfig,
		exporter.WithMetrics(create, component.StabilityLevelBeta))
}

func create(_ context.Context, set exporter.Settings, config component.Config) (exporter.Metrics, error) {
	return newExporter(config.(*Config), set)
}

type prometheusExporter struct {
	config    *Config
	telemetry component.TelemetrySettings
	page      *page
	complete  atomic.Bool // everything that was kept has been handed on
	scrapes   scrapes
	server    *http.Server
	stop      chan struct{}
	done      sync.WaitGroup
}

func newExporter(config *Config, set exporter.Settings) (*prometheusExporter, error) {
	e := &prometheusExporter{
		config: config, telemetry: set.TelemetrySettings, page: newPage(config, time.Now),
		scrapes: scrapes{most: config.MaxScrapes, yieldAfter: config.YieldAfter, now: time.Now}, stop: make(chan struct{}),
	}
	e.complete.Store(!config.WaitForTotals)
	return e, observe(set, e.page)
}

// Start opens the page.
func (e *prometheusExporter) Start(ctx context.Context, host component.Host) error {
	listener, err := e.config.Server.ToListener(ctx)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", e.serve)
	e.server, err = e.config.Server.ToServer(ctx, host.GetExtensions(), e.telemetry, mux)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	e.done.Go(func() { _ = e.server.Serve(listener) })
	if e.config.Expiration > 0 {
		e.done.Go(e.sweepLoop)
	}
	return nil
}

// sweepLoop forgets what has expired, also where nobody scrapes.
func (e *prometheusExporter) sweepLoop() {
	tick := time.NewTicker(e.config.Expiration)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.page.sweep()
		case <-e.stop:
			return
		}
	}
}

// Shutdown closes the page.
func (e *prometheusExporter) Shutdown(ctx context.Context) error {
	if e.server == nil {
		return nil
	}
	err := e.server.Shutdown(ctx)
	close(e.stop)
	e.done.Wait()
	e.server = nil
	return err
}

// Capabilities: a request is only read.
func (*prometheusExporter) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeMetrics takes the values of a request over.
func (e *prometheusExporter) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	e.page.takeAll(md)
	for _, rm := range md.ResourceMetrics().All() {
		if handover.IsComplete(rm) {
			e.complete.Store(true)
		}
	}
	return nil
}
