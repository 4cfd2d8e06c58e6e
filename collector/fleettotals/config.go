package fleettotals

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/fleet-telemetry/collector/internal/budget"
	"github.com/fleet-telemetry/collector/internal/grid"
	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// Config is the settings of the processor.
type Config struct {
	// Storage names the storage extension that keeps the sums.
	Storage *component.ID `mapstructure:"storage"`
	// Directory is where that extension keeps its files, so that they can be checked before it opens them. Without it a damaged
	// store keeps the collector from starting.
	Directory string `mapstructure:"directory"`
	// ResourceLabels are the resource attributes that become labels.
	ResourceLabels []labels.FromResource `mapstructure:"resource_labels"`
	// KnownMetrics have budgets of their own, kinds that no sender can change, and bounds that are always kept.
	KnownMetrics map[string]KnownMetric `mapstructure:"known_metrics"`
	// OtherMetrics are levels and facts: no sender can have a total under their names.
	OtherMetrics []string `mapstructure:"other_metrics"`
	// Budget divides the series.
	Budget budget.Config `mapstructure:"budget"`
	// MaxBuckets bounds the union of all bounds that senders use for one series.
	MaxBuckets int `mapstructure:"max_buckets"`
	// MaxNativeBuckets bounds the same for a series that senders of exponential histograms have a part in.
	MaxNativeBuckets int `mapstructure:"max_native_buckets"`
	// MaxLabels and MaxLabelBytes bound one label set.
	MaxLabels     int `mapstructure:"max_labels"`
	MaxLabelBytes int `mapstructure:"max_label_bytes"`
	// MaxSenders and MaxStreams bound what is remembered of senders and of cumulative streams, MaxAge for how long.
	MaxSenders int           `mapstructure:"max_senders"`
	MaxStreams int           `mapstructure:"max_streams"`
	MaxAge     time.Duration `mapstructure:"max_age"`
	// MaxExemplars bounds the exemplars that are kept, the newest of each bucket; beyond it they are collected anew. 0 keeps none.
	MaxExemplars int `mapstructure:"max_exemplars"`
	// EmitInterval is how long a changed series may wait before it is handed on; it is durable by then.
	EmitInterval time.Duration `mapstructure:"emit_interval"`
}

// KnownMetric is a counter, or a histogram if it has bounds.
type KnownMetric struct {
	Bounds []float64 `mapstructure:"bounds"`
}

func (k KnownMetric) kind() pagename.Kind {
	if len(k.Bounds) > 0 {
		return pagename.Histogram
	}
	return pagename.Counter
}

func defaultConfig() component.Config {
	return &Config{
		ResourceLabels: labels.Standard(),
		Budget:         budget.Default(),
		MaxBuckets:     64, MaxNativeBuckets: 400,
		MaxLabels: 32, MaxLabelBytes: 1024,
		MaxSenders: 100_000, MaxStreams: 100_000, MaxAge: 7 * 24 * time.Hour,
		MaxExemplars: 20_000,
		EmitInterval: 200 * time.Millisecond,
	}
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var problems []error
	if c.Storage == nil {
		problems = append(problems, errors.New("storage: names no storage extension: set it to file_storage and configure that"))
	}
	for name, value := range map[string]int64{
		"max_buckets": int64(c.MaxBuckets), "max_native_buckets": int64(c.MaxNativeBuckets), "max_labels": int64(c.MaxLabels), "max_label_bytes": int64(c.MaxLabelBytes),
		"max_senders": int64(c.MaxSenders), "max_streams": int64(c.MaxStreams), "max_age": int64(c.MaxAge), "emit_interval": int64(c.EmitInterval),
	} {
		if value < 1 {
			problems = append(problems, fmt.Errorf("%s: %d is not positive: set it to 1 or more", name, value))
		}
	}
	if c.MaxExemplars < 0 {
		problems = append(problems, fmt.Errorf("max_exemplars: %d is negative: set it to 0 for none, or to 1 or more", c.MaxExemplars))
	}
	for _, label := range c.ResourceLabels {
		problems = append(problems, label.Check())
	}
	problems = append(problems, c.checkKnown(), c.Budget.Check(slices.Collect(maps.Keys(c.KnownMetrics))))
	return errors.Join(problems...)
}

func (c *Config) checkKnown() error {
	var problems []error
	claims := pagename.Claims{}
	for _, name := range slices.Sorted(maps.Keys(c.KnownMetrics)) {
		known := c.KnownMetrics[name]
		if labels.MetricName(name) != name || name == "" {
			problems = append(problems, fmt.Errorf("known_metrics: %q is not a metric name: use letters, digits and underscores", name))
		}
		if !claims.Take(name, known.kind()) {
			problems = append(problems, fmt.Errorf("known_metrics: %s shares a name on the page with another one: rename one of them", name))
		}
		if slices.Contains(c.OtherMetrics, name) {
			problems = append(problems, fmt.Errorf("other_metrics: %s is among known_metrics, too: take it out of one", name))
		}
		if !ascend(known.Bounds) || len(known.Bounds) > c.MaxBuckets {
			problems = append(problems, fmt.Errorf("known_metrics: the bounds of %s do not ascend, or are more than max_buckets: %d", name, c.MaxBuckets))
		}
	}
	return errors.Join(problems...)
}

// most is how many bounds a series may have that has these.
func (c *Config) most(bounds []float64) int {
	if grid.Is(bounds) {
		return c.MaxNativeBuckets
	}
	return c.MaxBuckets
}

// ascend tells whether these can be the upper bounds of buckets; the last bucket, +Inf, has none.
func ascend(bounds []float64) bool {
	for i, bound := range bounds {
		if math.IsNaN(bound) || math.IsInf(bound, 0) || i > 0 && bound <= bounds[i-1] {
			return false
		}
	}
	return true
}
