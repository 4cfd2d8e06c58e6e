package fleetadmission

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Config is the settings of the extension.
type Config struct {
	// RequestLimitMiB is how much of requests is decoded and counted at once, uncompressed; others wait for their turn. A larger
	// request has it for itself.
	RequestLimitMiB int64 `mapstructure:"request_limit_mib"`
	// WaitingLimitMiB is how much of requests over HTTP is in memory while they are read and wait. What is beyond it is refused; senders
	// keep it and repeat.
	WaitingLimitMiB int64 `mapstructure:"waiting_limit_mib"`
	// MaxGRPCRequests is how many requests over gRPC are under way at once: each takes up to twice `max_recv_msg_size_mib`.
	MaxGRPCRequests int64 `mapstructure:"max_grpc_requests"`
	// MaxHeaderBytes is how large the head of a request may be, over HTTP and over gRPC.
	MaxHeaderBytes int64 `mapstructure:"max_header_bytes"`
	// Timeout is what a request may take from its head to its answer, and a connection of gRPC until it is one.
	Timeout time.Duration `mapstructure:"timeout"`
}

func defaultConfig() component.Config {
	return &Config{RequestLimitMiB: 8, WaitingLimitMiB: 64, MaxGRPCRequests: 32, MaxHeaderBytes: 64 << 10, Timeout: 30 * time.Second}
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var problems []error
	for name, value := range map[string]int64{
		"request_limit_mib": c.RequestLimitMiB, "waiting_limit_mib": c.WaitingLimitMiB, "max_grpc_requests": c.MaxGRPCRequests,
		"max_header_bytes": c.MaxHeaderBytes,
	} {
		if value < 1 {
			problems = append(problems, fmt.Errorf("%s: %d is not positive: set it to 1 or more", name, value))
		}
	}
	if c.MaxHeaderBytes > http.DefaultMaxHeaderBytes {
		problems = append(problems, fmt.Errorf("max_header_bytes: %d is more than a server over HTTP reads: set it to %d or less",
			c.MaxHeaderBytes, http.DefaultMaxHeaderBytes))
	}
	if c.Timeout <= 0 {
		problems = append(problems, fmt.Errorf("timeout: %s is not positive: set it to a duration such as 30s", c.Timeout))
	}
	return errors.Join(problems...)
}
