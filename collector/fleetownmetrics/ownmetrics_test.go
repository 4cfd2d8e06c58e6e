package fleetownmetrics

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension"
)

// What the collector shows on loopback is handed on, without the reader's token; nothing but its page is.
func TestHandsOn(t *testing.T) {
	var tokens []string
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, "up 1 "+r.URL.Path)
	}))
	defer inner.Close()
	config := defaultConfig().(*Config)
	settings := map[string]any{"endpoint": "127.0.0.1:0", "from": inner.URL}
	if err := confmap.NewFromStringMap(settings).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	set := extension.Settings{ID: component.MustNewID("fleet_own_metrics"), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	made, err := create(context.Background(), set, config)
	if err != nil {
		t.Fatal(err)
	}
	p := made.(*page)
	if err := p.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/metrics": "up 1 /metrics", "/debug": "404 page not found\n"} {
		request := httptest.NewRequest(http.MethodGet, path, nil)
		request.Header.Set("Authorization", "Bearer secret")
		recorder := httptest.NewRecorder()
		p.server.Handler.ServeHTTP(recorder, request)
		if got := recorder.Body.String(); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got := strings.Join(tokens, ","); got != "" {
		t.Error("the token is handed on:", got)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Mistakes are told together.
func TestValidate(t *testing.T) {
	err := (&Config{From: "nonsense"}).Validate()
	if err == nil || !strings.Contains(err.Error(), "endpoint:") || !strings.Contains(err.Error(), "from:") {
		t.Error(err)
	}
}
