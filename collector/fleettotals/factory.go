// Package fleettotals is a processor that sums the monotonic sums and histograms of a whole fleet, one series for each label set,
// and keeps the sums in the collector's storage. An export is acknowledged when it is durable there, and an export that comes again is
// acknowledged and not counted.
package fleettotals

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
)

// NewFactory makes the factory of `fleet_totals`.
func NewFactory() processor.Factory {
	return processor.NewFactory(component.MustNewType("fleet_totals"), defaultConfig,
		processor.WithMetrics(create, component.StabilityLevelBeta))
}

func create(_ context.Context, set processor.Settings, config component.Config, next consumer.Metrics) (processor.Metrics, error) {
	return newTotals(config.(*Config), set, next)
}
