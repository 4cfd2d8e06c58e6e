package fleetlevels

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"

	"github.com/fleet-telemetry/collector/internal/labels"
)

// Config is the settings of the processor.
type Config struct {
	// ResourceLabels are the resource attributes that become labels.
	ResourceLabels []labels.FromResource `mapstructure:"resource_labels"`
	// KnownLevels and KnownFacts are what they are, whatever a sender says.
	KnownLevels []string `mapstructure:"known_levels"`
	KnownFacts  []string `mapstructure:"known_facts"`
	// KnownTotals are counters and histograms: no sender can have a level or a fact under their names, or those of their parts.
	KnownTotals []string `mapstructure:"known_totals"`
	// MaxLabels and MaxLabelBytes bound one label set.
	MaxLabels     int `mapstructure:"max_labels"`
	MaxLabelBytes int `mapstructure:"max_label_bytes"`
}

func defaultConfig() component.Config {
	return &Config{ResourceLabels: labels.Standard(), MaxLabels: 32, MaxLabelBytes: 1024}
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var problems []error
	for name, value := range map[string]int{"max_labels": c.MaxLabels, "max_label_bytes": c.MaxLabelBytes} {
		if value < 1 {
			problems = append(problems, fmt.Errorf("%s: %d is not positive: set it to 1 or more", name, value))
		}
	}
	for _, label := range c.ResourceLabels {
		problems = append(problems, label.Check())
	}
	levels := map[string]bool{}
	for _, name := range c.KnownLevels {
		levels[name] = true
	}
	for _, name := range c.KnownFacts {
		if levels[name] {
			problems = append(problems, fmt.Errorf("known_facts: %s is among known_levels, too: take it out of one", name))
		}
	}
	return errors.Join(problems...)
}
