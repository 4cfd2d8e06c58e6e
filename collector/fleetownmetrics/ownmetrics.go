// Package fleetownmetrics is an extension that shows the collector's own metrics with TLS and tokens. The collector itself shows them
// without, so it does that on loopback, and this hands them on.
package fleetownmetrics

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/extension"
)

// Config is the settings of the extension.
type Config struct {
	// Server is where it listens, with the settings of any HTTP server of the collector.
	Server confighttp.ServerConfig `mapstructure:",squash"`
	// From is where the collector shows its own metrics, such as http://127.0.0.1:8887.
	From string `mapstructure:"from"`
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var problems []error
	if c.Server.NetAddr.Endpoint == "" {
		problems = append(problems, errors.New("endpoint: is empty: set it to an address such as 127.0.0.1:8888"))
	}
	if from, err := url.Parse(c.From); err != nil || from.Scheme != "http" || from.Host == "" {
		problems = append(problems, errors.New("from: is no address: set it to one such as http://127.0.0.1:8887"))
	}
	return errors.Join(problems...)
}

// NewFactory makes the factory of `fleet_own_metrics`.
func NewFactory() extension.Factory {
	return extension.NewFactory(component.MustNewType("fleet_own_metrics"), defaultConfig, create, component.StabilityLevelBeta)
}

func defaultConfig() component.Config { return &Config{Server: confighttp.NewDefaultServerConfig()} }

func create(_ context.Context, set extension.Settings, config component.Config) (extension.Extension, error) {
	return &page{config: config.(*Config), telemetry: set.TelemetrySettings}, nil
}

type page struct {
	config    *Config
	telemetry component.TelemetrySettings
	server    *http.Server
	done      sync.WaitGroup
}

// Start opens the page.
func (p *page) Start(ctx context.Context, host component.Host) error {
	from, err := url.Parse(p.config.From)
	if err != nil {
		return err
	}
	listener, err := p.config.Server.ToListener(ctx)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(from)
		r.Out.Header.Del("Authorization")
	}})
	p.server, err = p.config.Server.ToServer(ctx, host.GetExtensions(), p.telemetry, mux)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.done.Go(func() { _ = p.server.Serve(listener) })
	return nil
}

// Shutdown closes the page.
func (p *page) Shutdown(ctx context.Context) error {
	if p.server == nil {
		return nil
	}
	err := p.server.Shutdown(ctx)
	p.done.Wait()
	return err
}
