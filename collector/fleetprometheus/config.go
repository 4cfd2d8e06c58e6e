package fleetprometheus

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/fleet-telemetry/collector/internal/budget"
)

// Config is the settings of the exporter.
type Config struct {
	// Server is where it listens, with the settings of any HTTP server of the collector. It is not embedded: its way to read settings
	// would become that of all.
	Server confighttp.ServerConfig `mapstructure:",squash"`
	// Expiration is how long a series is shown after its last report; 0 is for ever.
	Expiration time.Duration `mapstructure:"expiration"`
	// WaitForTotals answers 503 until `fleet_totals` has handed on all that it had kept.
	WaitForTotals bool `mapstructure:"wait_for_totals"`
	// KnownMetrics have budgets of their own.
	KnownMetrics []string `mapstructure:"known_metrics"`
	// Budget divides the series; without it there are as many as come.
	Budget *budget.Config `mapstructure:"budget"`
	// CreatedLines adds `_created` lines to OpenMetrics. Without its feature for start times Prometheus takes them for series of their
	// own; with it, it asks for protobuf, which always has the start times.
	CreatedLines bool `mapstructure:"created_lines"`
	// MaxScrapes is how many pages may be under way at once.
	MaxScrapes int `mapstructure:"max_scrapes"`
	// YieldAfter is how long a page may be under way before it is cut off for another one, where as many as may be are.
	YieldAfter time.Duration `mapstructure:"yield_after"`
}

func defaultConfig() component.Config {
	return &Config{Server: confighttp.NewDefaultServerConfig(), MaxScrapes: 4, YieldAfter: 2 * time.Second}
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var problems []error
	if c.Server.NetAddr.Endpoint == "" {
		problems = append(problems, errors.New("endpoint: is empty: set it to an address such as 127.0.0.1:8889"))
	}
	if c.Expiration < 0 {
		problems = append(problems, fmt.Errorf("expiration: %s is negative: set it to 0 for never, or to a duration such as 60s", c.Expiration))
	}
	if c.MaxScrapes < 1 {
		problems = append(problems, fmt.Errorf("max_scrapes: %d is not positive: set it to 1 or more", c.MaxScrapes))
	}
	if c.YieldAfter <= 0 {
		problems = append(problems, fmt.Errorf("yield_after: %s is not positive: set it to a duration such as 2s", c.YieldAfter))
	}
	if c.Budget != nil {
		problems = append(problems, c.Budget.Check(c.KnownMetrics))
	}
	return errors.Join(problems...)
}
