package fleetprometheus

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/metric"
)

// reason is why a point is not shown.
type reason int

const (
	dropKind        reason = iota // of another kind than the metric, or of one that is not shown
	dropTemporality               // not cumulative
	dropBuckets                   // counts and bounds do not go together
	dropLabels                    // too many or too long
	dropText                      // not UTF-8
	dropName                      // no name, or one that another metric has on the page
	dropNames                     // beyond the budget of unknown names
	dropBudget                    // beyond the metric's budget of series
	reasons
)

var reasonNames = [reasons]string{"kind", "temporality", "buckets", "labels", "text", "name", "names", "budget"}

type drops [reasons]int64

// observe reports how much is shown and what is not.
func observe(set exporter.Settings, p *page) error {
	// A scope of its own for each exporter: of two with the same instruments in one scope, only one would be asked.
	meter := set.MeterProvider.Meter("github.com/fleet-telemetry/collector/fleetprometheus/" + set.ID.String())
	self := attribute.String("exporter", set.ID.String())
	_, first := meter.Int64ObservableCounter("fleet_prometheus_dropped_points_total",
		otel.WithDescription("Points that are not shown, by reason."),
		otel.WithInt64Callback(func(_ context.Context, o otel.Int64Observer) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			for i, n := range p.dropped {
				o.Observe(n, otel.WithAttributes(self, attribute.String("reason", reasonNames[i])))
			}
			return nil
		}))
	_, second := meter.Int64ObservableGauge("fleet_prometheus_series",
		otel.WithDescription("Series that are shown."),
		otel.WithInt64Callback(func(_ context.Context, o otel.Int64Observer) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			o.Observe(p.series, otel.WithAttributes(self))
			return nil
		}))
	return errors.Join(first, second)
}
