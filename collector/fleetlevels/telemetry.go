package fleetlevels

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/metric"
)

// reason is why a point is not shown.
type reason int

const (
	dropKind        reason = iota // known as something else
	dropTemporality               // a delta of a level says nothing without the level
	dropName                      // no name
	dropLabels                    // too many or too long
	dropText                      // not UTF-8
	reasons
)

var reasonNames = [reasons]string{"kind", "temporality", "name", "labels", "text"}

type drops [reasons]int64

type instruments struct{ dropped otel.Int64Counter }

func newInstruments(settings component.TelemetrySettings) (*instruments, error) {
	meter := settings.MeterProvider.Meter("github.com/fleet-telemetry/collector/fleetlevels")
	dropped, err := meter.Int64Counter("fleet_levels_dropped_points_total",
		otel.WithDescription("Points of levels and facts that cannot be shown, by reason."))
	return &instruments{dropped}, err
}

func (i *instruments) report(ctx context.Context, dropped *drops) {
	for reason, n := range dropped {
		if n > 0 {
			i.dropped.Add(ctx, n, otel.WithAttributes(attribute.String("reason", reasonNames[reason])))
		}
	}
}
