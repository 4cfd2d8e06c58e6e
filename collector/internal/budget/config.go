package budget

import (
	"errors"
	"fmt"
)

// Config is how many series there may be, and how they are divided.
type Config struct {
	// MaxSeries is the bound for all metrics together: it bounds the memory.
	MaxSeries int `mapstructure:"max_series"`
	// SeriesPerMetric is what one known metric may have.
	SeriesPerMetric int `mapstructure:"series_per_metric"`
	// SeriesByMetric is what a known metric may have instead, by name.
	SeriesByMetric map[string]int `mapstructure:"series_by_metric"`
	// ReservedSeries is what each known metric can have whatever the others have.
	ReservedSeries int `mapstructure:"reserved_series"`
	// UnknownSeries is what all metrics that are not known may have together.
	UnknownSeries int `mapstructure:"unknown_series"`
	// UnknownNames is how many such metrics there may be.
	UnknownNames int `mapstructure:"unknown_names"`
}

// Default is the budget of a fleet of some hundred processes.
func Default() Config {
	return Config{MaxSeries: 100_000, SeriesPerMetric: 10_000, ReservedSeries: 1_000, UnknownSeries: 10_000, UnknownNames: 200}
}

// Check names everything that is wrong with the numbers for these known metrics.
func (c Config) Check(known []string) error {
	var problems []error
	for name, value := range map[string]int{
		"max_series": c.MaxSeries, "series_per_metric": c.SeriesPerMetric, "unknown_series": c.UnknownSeries, "unknown_names": c.UnknownNames,
	} {
		if value < 1 {
			problems = append(problems, fmt.Errorf("budget: %s: %d is not positive: set it to 1 or more", name, value))
		}
	}
	if c.ReservedSeries < 0 {
		problems = append(problems, fmt.Errorf("budget: reserved_series: %d is negative: set it to 0 or more", c.ReservedSeries))
	}
	if reserved := c.reserved(known); reserved > c.MaxSeries {
		problems = append(problems, fmt.Errorf("budget: reserved_series: %d for each of %d metrics is %d in all, more than max_series: %d: "+
			"lower the one or raise the other", c.ReservedSeries, len(known)+1, reserved, c.MaxSeries))
	}
	isKnown := map[string]bool{}
	for _, name := range known {
		isKnown[name] = true
	}
	for name, series := range c.SeriesByMetric {
		if !isKnown[name] {
			problems = append(problems, fmt.Errorf("budget: series_by_metric: %s is not among the known metrics: add it there", name))
		}
		if series < 1 {
			problems = append(problems, fmt.Errorf("budget: series_by_metric: %s: %d is not positive: set it to 1 or more", name, series))
		}
	}
	return errors.Join(problems...)
}

func (c Config) reserved(known []string) int {
	sum := min(c.ReservedSeries, c.UnknownSeries)
	for _, name := range known {
		limit := c.SeriesPerMetric
		if own, ok := c.SeriesByMetric[name]; ok {
			limit = own
		}
		sum += min(c.ReservedSeries, limit)
	}
	return sum
}
