package fleetadmission

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/metric"
)

// reason is why a request is refused.
type reason string

const (
	refusedBusy    reason = "busy"    // others take all that requests may take: a sender repeats it
	refusedSize    reason = "size"    // larger than a request may be
	refusedSlow    reason = "slow"    // not there in time: a sender repeats it
	refusedDamaged reason = "damaged" // its compression cannot be read
)

type instruments struct{ refused otel.Int64Counter }

func newInstruments(settings component.TelemetrySettings) (*instruments, error) {
	meter := settings.MeterProvider.Meter("github.com/fleet-telemetry/collector/fleetadmission")
	refused, err := meter.Int64Counter("fleet_admission_refused_requests_total",
		otel.WithDescription("Requests that were refused before they were decoded, by reason."))
	i := &instruments{refused}
	for _, protocol := range []string{"http", "grpc"} {
		for _, why := range []reason{refusedBusy, refusedSize, refusedSlow, refusedDamaged} {
			i.add(context.Background(), protocol, why, 0) // so that the first refusal is an increase
		}
	}
	return i, err
}

func (i *instruments) refuse(ctx context.Context, protocol string, why reason) {
	i.add(ctx, protocol, why, 1)
}

func (i *instruments) add(ctx context.Context, protocol string, why reason, requests int64) {
	i.refused.Add(ctx, requests, otel.WithAttributes(attribute.String("protocol", protocol), attribute.String("reason", string(why))))
}
