// Package fleettokens is an extension that lets in who presents a bearer token of a file, over HTTP and over gRPC, and says which
// environments such a sender may write. Whether it writes others is not seen here: the processor `fleet_environments` looks.
// The file is read anew when it has changed.
package fleettokens

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.uber.org/zap"

	"github.com/fleet-telemetry/collector/internal/access"
)

const (
	header = "authorization"
	scheme = "bearer "
	// lookEvery is how often the file is looked at, at most: an attack is no load on the disk.
	lookEvery = 100 * time.Millisecond
	// othersMayRead are the rights of everybody else.
	othersMayRead = 0o004
)

var (
	errNone    = errors.New("a bearer token is needed here: send the header `authorization: Bearer TOKEN`")
	errUnknown = errors.New("this bearer token is not known here")
)

var _ extensionauth.Server = (*extensionTokens)(nil)

// NewFactory makes the factory of `fleet_tokens`.
func NewFactory() extension.Factory {
	return extension.NewFactory(component.MustNewType("fleet_tokens"), defaultConfig, create, component.StabilityLevelBeta)
}

func create(_ context.Context, set extension.Settings, config component.Config) (extension.Extension, error) {
	return &extensionTokens{file: config.(*Config).File, logger: set.Logger, now: time.Now}, nil
}

type extensionTokens struct {
	file   string
	logger *zap.Logger
	now    func() time.Time

	mu      sync.Mutex
	known   tokens
	version version
	looked  time.Time
}

// Start reads the file: a collector that lets nobody in, or everybody, does not start.
func (e *extensionTokens) Start(context.Context, component.Host) error {
	found, err := versionOf(e.file)
	if err != nil {
		return err
	}
	e.version = found // before it is read: what changes meanwhile is read again
	if e.known, err = read(e.file); err == nil {
		e.warn()
	}
	return err
}

func (e *extensionTokens) warn() {
	if found, err := os.Stat(e.file); err == nil && found.Mode()&othersMayRead != 0 {
		e.logger.Warn("everybody on this machine can read the tokens: chmod 600", zap.String("file", e.file))
	}
}

// Shutdown has nothing to end.
func (*extensionTokens) Shutdown(context.Context) error { return nil }

// Authenticate lets in who has a token, and notes what it may write.
func (e *extensionTokens) Authenticate(ctx context.Context, headers map[string][]string) (context.Context, error) {
	token := presented(headers)
	if token == "" {
		return ctx, errNone
	}
	environments, known := e.current()[sha256.Sum256([]byte(token))]
	if !known {
		return ctx, errUnknown
	}
	info := client.FromContext(ctx)
	info.Auth = access.Data{Environments: environments}
	return client.NewContext(ctx, info), nil
}

// presented is the token of a request: names of headers are capitalised over HTTP, and small over gRPC.
func presented(headers map[string][]string) string {
	for name, values := range headers {
		if len(values) == 1 && strings.EqualFold(name, header) && len(values[0]) > len(scheme) && strings.EqualFold(values[0][:len(scheme)], scheme) {
			return strings.TrimSpace(values[0][len(scheme):])
		}
	}
	return ""
}

// current is the tokens as they are now. Those before hold while the file cannot be read.
func (e *extensionTokens) current() tokens {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.now(); now.Sub(e.looked) >= lookEvery {
		e.looked = now
		e.look()
	}
	return e.known
}

func (e *extensionTokens) look() {
	found, err := versionOf(e.file)
	if err == nil && found == e.version {
		return
	}
	if err == nil {
		var known tokens
		if known, err = read(e.file); err == nil {
			e.known = known
			e.logger.Info("the tokens have been read anew", zap.String("file", e.file), zap.Int("tokens", len(known)))
		}
	}
	if err != nil && found != e.version {
		e.logger.Error("the tokens cannot be read anew; those before hold", zap.Error(err))
	}
	e.version = found
}
