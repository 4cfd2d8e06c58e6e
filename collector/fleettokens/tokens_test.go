package fleettokens

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const prod, dev = "token-of-prod-0123", "token-of-dev-01234"

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func begun(t *testing.T, text string) (e *extensionTokens, path string, logged *observer.ObservedLogs) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tokens")
	write(t, path, text)
	core, logged := observer.New(zap.InfoLevel)
	set := extension.Settings{ID: component.MustNewID("fleet_tokens"), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.Logger = zap.New(core)
	made, err := create(context.Background(), set, &Config{File: path})
	if err != nil {
		t.Fatal(err)
	}
	e = made.(*extensionTokens)
	if err := e.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return e, path, logged
}

// environments is what the sender of these headers may write, or why it is not let in.
func environments(e *extensionTokens, header string, values ...string) string {
	ctx, err := e.Authenticate(context.Background(), map[string][]string{header: values})
	if err != nil {
		return err.Error()
	}
	allowed, _ := client.FromContext(ctx).Auth.GetAttribute("environments").([]string)
	return "may write " + strings.Join(allowed, "+")
}

// Who has a token is let in, whatever the case of the header's name and scheme, and its environments are known; nobody else is.
func TestAuthenticate(t *testing.T) {
	e, _, _ := begun(t, "# of senders\n\n"+prod+" prod # the shop\n"+dev+"\tdev,stage qa\nlonely-token-0123\n")
	for _, c := range []struct{ header, value, want string }{
		{"Authorization", "Bearer " + prod, "may write prod"},
		{"authorization", "bearer " + dev, "may write dev+stage+qa"},
		{"Authorization", "Bearer lonely-token-0123", "may write "},
		{"Authorization", "Bearer " + prod + "x", errUnknown.Error()},
		{"Authorization", "Basic " + prod, errNone.Error()},
		{"Authorization", "Bearer ", errNone.Error()},
		{"X-Token", "Bearer " + prod, errNone.Error()},
		{"Authorization", "Bearer #", errUnknown.Error()},
	} {
		if got := environments(e, c.header, c.value); got != c.want {
			t.Errorf("%s: %s: %q, not %q", c.header, c.value, got, c.want)
		}
	}
	if got := environments(e, "Authorization", "Bearer "+prod, "Bearer "+dev); got != errNone.Error() {
		t.Error("two headers are let in:", got)
	}
}

// A file that changes is read anew; while it is wrong or missing, the tokens before hold, and the log says so once, without a token.
func TestRenewal(t *testing.T) {
	e, path, logged := begun(t, prod+" prod\n")
	now := time.Now()
	e.now = func() time.Time { now = now.Add(lookEvery); return now }
	write(t, path, dev+" dev\n")
	if got := environments(e, "authorization", "Bearer "+dev); got != "may write dev" {
		t.Error(got)
	}
	if got := environments(e, "authorization", "Bearer "+prod); got != errUnknown.Error() {
		t.Error("the token before is still let in:", got)
	}
	for _, wrong := range []func(){func() { write(t, path, "short prod\n") }, func() { _ = os.Remove(path) }} {
		wrong()
		for range 3 {
			if got := environments(e, "authorization", "Bearer "+dev); got != "may write dev" {
				t.Error(got)
			}
		}
	}
	errors := logged.FilterLevelExact(zap.ErrorLevel).All()
	if len(errors) != 2 {
		t.Errorf("%d lines, not 2: %v", len(errors), errors)
	}
	for _, line := range logged.All() {
		if text := line.Message + strings.Join(fields(line), " "); strings.Contains(text, "short") || strings.Contains(text, dev) {
			t.Error("a token is logged:", text)
		}
	}
}

func fields(line observer.LoggedEntry) (texts []string) {
	for _, field := range line.Context {
		texts = append(texts, field.String)
		if err, ok := field.Interface.(error); ok {
			texts = append(texts, err.Error())
		}
	}
	return texts
}

// A file that lets nobody in, or guessers, or that is none, ends the start with a sentence that names it.
func TestWrongFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	for text, want := range map[string]string{
		"":                         "has no token",
		"# nothing\n":              "has no token",
		prod + "\nsecret dev\n":    "line 2 has a token of 6 characters",
		strings.Repeat("x", 2<<20): "larger than 1 MiB",
	} {
		write(t, path, text)
		e := &extensionTokens{file: path, logger: zap.NewNop(), now: time.Now}
		err := e.Start(context.Background(), componenttest.NewNopHost())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, not %q", err, want)
		}
	}
	if err := (&Config{}).Validate(); err == nil {
		t.Error("no file is valid")
	}
}

// A file that everybody can read is told.
func TestReadableByAll(t *testing.T) {
	e, path, logged := begun(t, prod+" prod\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	if got := logged.FilterLevelExact(zap.WarnLevel).All(); len(got) != 1 || !slices.Contains(fields(got[0]), path) {
		t.Error(got)
	}
}
