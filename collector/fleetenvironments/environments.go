// Package fleetenvironments is a processor that refuses an export of an environment that its sender's token is not for, as a whole and
// with 403 (PermissionDenied). The tokens are those of the extension `fleet_tokens`; everything else passes as it is.
package fleetenvironments

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fleet-telemetry/collector/internal/access"
	"github.com/fleet-telemetry/collector/internal/labels"
)

// longest is how much of a name an answer repeats.
const longest = 64

// Config is the settings of the processor.
type Config struct{}

// NewFactory makes the factory of `fleet_environments`.
func NewFactory() processor.Factory {
	return processor.NewFactory(component.MustNewType("fleet_environments"), func() component.Config { return &Config{} },
		processor.WithMetrics(create, component.StabilityLevelBeta))
}

func create(_ context.Context, _ processor.Settings, _ component.Config, next consumer.Metrics) (processor.Metrics, error) {
	return &environments{next: next, label: labels.Standard()[:1]}, nil
}

type environments struct {
	component.StartFunc
	component.ShutdownFunc

	next  consumer.Metrics
	label []labels.FromResource // `environment`, as the series get it
}

// Capabilities: a request is only read.
func (*environments) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeMetrics hands on what the sender may write, or refuses all of it.
func (e *environments) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	allowed := of(ctx)
	if !slices.Contains(allowed, access.All) {
		for _, rm := range md.ResourceMetrics().All() {
			if name := e.nameOf(rm); !slices.Contains(allowed, name) {
				return refused(name, allowed)
			}
		}
	}
	return e.next.ConsumeMetrics(ctx, md)
}

func (e *environments) nameOf(rm pmetric.ResourceMetrics) string {
	for _, label := range labels.AppendResource(nil, e.label, rm.Resource().Attributes()) {
		return label.Value
	}
	return ""
}

// of is what the sender may write; without a token, nothing.
func of(ctx context.Context) []string {
	if auth := client.FromContext(ctx).Auth; auth != nil {
		allowed, _ := auth.GetAttribute(access.Attribute).([]string)
		return allowed
	}
	return nil
}

// refused is an error whose status the receiver answers with.
func refused(name string, allowed []string) error {
	may := strings.Join(allowed, ", ")
	if may == "" {
		may = "none"
	}
	return status.Error(codes.PermissionDenied, fmt.Sprintf(
		"this token may not write the environment %q, it may write: %s; nothing of the export was taken", short(name), may))
}

func short(name string) string {
	name = strings.ToValidUTF8(name, "?")
	if utf8.RuneCountInString(name) > longest {
		return string([]rune(name)[:longest]) + "…"
	}
	return name
}
