package fleetenvironments

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fleet-telemetry/collector/internal/access"
)

// request has resources, each with these attributes: key, value, key, value.
func request(resources ...[]string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, attributes := range resources {
		rm := md.ResourceMetrics().AppendEmpty()
		for i := 0; i < len(attributes); i += 2 {
			rm.Resource().Attributes().PutStr(attributes[i], attributes[i+1])
		}
		rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetName("x")
	}
	return md
}

// consumed is how many requests were handed on, and the error.
func consumed(ctx context.Context, t *testing.T, md pmetric.Metrics) (int, error) {
	t.Helper()
	sink := &consumertest.MetricsSink{}
	p, err := NewFactory().CreateMetrics(ctx, processor.Settings{ID: component.MustNewID("fleet_environments")}, NewFactory().CreateDefaultConfig(), sink)
	if err != nil {
		t.Fatal(err)
	}
	err = p.ConsumeMetrics(ctx, md)
	return len(sink.AllMetrics()), err
}

func with(environments ...string) context.Context {
	return client.NewContext(context.Background(), client.Info{Auth: access.Data{Environments: environments}})
}

const now, before = "deployment.environment.name", "deployment.environment"

// An export passes if the token is for each environment in it, as the label says it: by the present name, the former one, or `dev`.
func TestAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		ctx context.Context
		md  pmetric.Metrics
	}{
		"its own":        {with("prod"), request([]string{now, "prod"}, []string{now, "prod"})},
		"one of several": {with("dev", "stage"), request([]string{now, "dev"}, []string{now, "stage"})},
		"former name":    {with("prod"), request([]string{before, "prod"})},
		"none said":      {with("dev"), request([]string{})},
		"any":            {with("*"), request([]string{now, "prod"}, []string{now, "x"})},
		"nothing":        {with("prod"), request()},
	} {
		if n, err := consumed(c.ctx, t, c.md); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// Any other export is refused as a whole, with the status of a sender that may not do that.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ctx  context.Context
		md   pmetric.Metrics
		want string
	}{
		"another":        {with("prod"), request([]string{now, "dev"}), `"dev", it may write: prod`},
		"one of two":     {with("prod"), request([]string{now, "prod"}, []string{now, "dev"}), `"dev"`},
		"former name":    {with("prod"), request([]string{now, "dev", before, "prod"}), `"dev"`},
		"none said":      {with("prod"), request([]string{}), `"dev"`},
		"empty":          {with("prod"), request([]string{now, ""}), `""`},
		"a star is none": {with("prod"), request([]string{now, "*"}), `"*"`},
		"token for none": {with(), request([]string{now, "prod"}), "may write: none"},
		"no token":       {context.Background(), request([]string{now, "prod"}), "may write: none"},
		"long":           {with("prod"), request([]string{now, strings.Repeat("x", 1000)}), strings.Repeat("x", 64) + "…"},
		"not UTF-8":      {with("prod"), request([]string{now, "\xff"}), `"?"`},
	} {
		n, err := consumed(c.ctx, t, c.md)
		s, _ := status.FromError(err)
		if n != 0 || s.Code() != codes.PermissionDenied || !strings.Contains(s.Message(), c.want) || len(s.Message()) > 300 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}
