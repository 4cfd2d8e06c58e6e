package fleetadmission

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func begin(t *testing.T, edits ...func(*Config)) *admission {
	t.Helper()
	config := defaultConfig().(*Config)
	for _, edit := range edits {
		edit(config)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	a, err := newAdmission(config, componenttest.NewNopTelemetrySettings())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve is a server whose handler is behind it, as a receiver's would be.
func serve(t *testing.T, a *admission, handle http.HandlerFunc) string {
	t.Helper()
	wrap, err := a.GetHTTPHandler(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := wrap(context.Background(), handle)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		r.Body = http.MaxBytesReader(w, io.NopCloser(body), 3*mib)
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func post(t *testing.T, url string, body io.Reader, encoding string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", encoding)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func nothingIsHeld(t *testing.T, a *admission) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for a.waiting.used.Load() != 0 || a.streams.used.Load() != 0 {
		if time.Now().After(deadline) {
			t.Fatal("held: ", a.waiting.used.Load(), " bytes, ", a.streams.used.Load(), " streams")
		}
		time.Sleep(time.Millisecond)
	}
	if !a.turn.TryAcquire(a.config.RequestLimitMiB * mib) {
		t.Error("a turn did not end")
	}
}

// A request arrives as it was sent, whatever its size is.
func TestRequestsArrive(t *testing.T) {
	a := begin(t, func(c *Config) { c.RequestLimitMiB = 1 })
	url := serve(t, a, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	for _, size := range []int{0, 1, step, step + 1, 2*mib + 7} {
		body := strings.Repeat("x", size)
		if code, got := post(t, url, strings.NewReader(body), ""); code != http.StatusOK || got != body {
			t.Error(size, code, len(got))
		}
	}
	nothingIsHeld(t, a)
}

// What is too large uncompressed, damaged, too slow or too much at once is refused with its own status and a sentence.
func TestRefusals(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 20*mib))
	_ = z.Close()
	slow, _ := io.Pipe() // nothing comes
	for _, c := range []struct {
		name     string
		body     io.Reader
		encoding string
		code     int
		sentence string
	}{
		{"bomb", bytes.NewReader(bomb.Bytes()), "gzip", http.StatusRequestEntityTooLarge, "max_request_body_size"},
		{"large", bytes.NewReader(make([]byte, 4*mib)), "", http.StatusRequestEntityTooLarge, "send less"},
		{"cut", bytes.NewReader(bomb.Bytes()[:1000]), "gzip", http.StatusBadRequest, "Content-Encoding"},
		{"busy", bytes.NewReader(make([]byte, 2*mib)), "", http.StatusServiceUnavailable, "waiting_limit_mib"},
		{"slow", slow, "", http.StatusRequestTimeout, "timeout of fleet_admission"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := begin(t, func(config *Config) {
				config.Timeout = 200 * time.Millisecond
				if c.code == http.StatusServiceUnavailable {
					config.WaitingLimitMiB = 1
				}
			})
			url := serve(t, a, func(http.ResponseWriter, *http.Request) { t.Error("it arrived") })
			if code, got := post(t, url, c.body, c.encoding); code != c.code || !strings.Contains(got, c.sentence) {
				t.Error(code, got)
			}
			nothingIsHeld(t, a)
		})
	}
}

// telling does something while a request is told its status.
type telling struct {
	*httptest.ResponseRecorder
	then func()
}

func (t telling) WriteHeader(code int) {
	t.then()
	t.ResponseRecorder.WriteHeader(code)
}

// What finds no room holds none while it is refused: requests that fill it together are not refused one because of the other.
func TestRefusedRequestsHoldNoRoom(t *testing.T) {
	a := begin(t, func(c *Config) { c.WaitingLimitMiB = 1 })
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	request := func(size int) *http.Request {
		return httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(make([]byte, size)))
	}
	first, second := httptest.NewRecorder(), httptest.NewRecorder()
	a.serve(telling{first, func() { a.serve(second, request(mib-step), handler) }}, request(mib), handler)
	if first.Code != http.StatusServiceUnavailable || second.Code != http.StatusOK {
		t.Error(first.Code, second.Code)
	}
	nothingIsHeld(t, a)
}

// One request is decoded after the other where they are as large as all may be, and whoever waits too long is told to come again.
func TestTurns(t *testing.T) {
	a := begin(t, func(c *Config) { c.RequestLimitMiB, c.Timeout = 1, 200*time.Millisecond })
	first, over := make(chan struct{}), make(chan struct{})
	url := serve(t, a, func(http.ResponseWriter, *http.Request) { close(first); <-over })
	done := make(chan int)
	go func() {
		code, _ := post(t, url, bytes.NewReader(make([]byte, 2*mib)), "")
		done <- code
	}()
	<-first
	code, got := post(t, url, strings.NewReader("x"), "")
	if code != http.StatusServiceUnavailable || !strings.Contains(got, "request_limit_mib") || !strings.Contains(got, "200ms") {
		t.Error(code, got)
	}
	close(over)
	if code := <-done; code != http.StatusOK {
		t.Error(code)
	}
	nothingIsHeld(t, a)
}

type receiver struct {
	pmetricotlp.UnimplementedGRPCServer
	begun chan struct{}
	over  chan struct{}
}

func (r *receiver) Export(context.Context, pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	r.begun <- struct{}{}
	<-r.over
	return pmetricotlp.NewExportResponse(), nil
}

func dial(t *testing.T, a *admission, r *receiver) pmetricotlp.GRPCClient {
	t.Helper()
	options, err := a.GetGRPCServerOptions(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	pmetricotlp.RegisterGRPCServer(server, r)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return pmetricotlp.NewGRPCClient(connection)
}

func export() pmetricotlp.ExportRequest {
	md := pmetric.NewMetrics()
	md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetName("a")
	return pmetricotlp.NewExportRequestFromMetrics(md)
}

// Beyond its number a request over gRPC is refused with a status that senders repeat; when one has ended, the next one is taken.
func TestGRPCRequestsAreBounded(t *testing.T) {
	a := begin(t, func(c *Config) { c.MaxGRPCRequests, c.Timeout = 1, 5*time.Second })
	r := &receiver{begun: make(chan struct{}), over: make(chan struct{})}
	client := dial(t, a, r)
	done := make(chan error, 1)
	go func() { _, err := client.Export(context.Background(), export()); done <- err }()
	<-r.begun
	_, err := client.Export(context.Background(), export())
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "max_grpc_requests") {
		t.Error(err)
	}
	r.over <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
	nothingIsHeld(t, a)
	go func() { <-r.begun; r.over <- struct{}{} }()
	a = begin(t, func(c *Config) { c.MaxGRPCRequests = 1 })
	if _, err := dial(t, a, r).Export(context.Background(), export()); err != nil {
		t.Error(err)
	}
	nothingIsHeld(t, a)
}

// A head beyond its limit is refused before its body is read, one below it is not: over HTTP with 431, over gRPC by the client, which is told.
func TestHeadsAreBounded(t *testing.T) {
	a := begin(t, func(c *Config) { c.MaxHeaderBytes = 2000 })
	url := serve(t, a, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	r := &receiver{begun: make(chan struct{}, 1), over: make(chan struct{}, 1)}
	r.over <- struct{}{}
	client := dial(t, a, r)
	for bytes, status := range map[int]int{1500: http.StatusOK, 2500: http.StatusRequestHeaderFieldsTooLarge} {
		head := strings.Repeat("x", bytes)
		code, got := post(t, url, strings.NewReader("body"), head)
		if code != status || code != http.StatusOK && !strings.Contains(got, "max_header_bytes") {
			t.Error(bytes, code, got)
		}
	}
	for range 100 { // the first request may be sent before the limit has come
		_, err := client.Export(metadata.AppendToOutgoingContext(context.Background(), "x", strings.Repeat("x", 2500)), export())
		if err == nil {
			t.Fatal("it was taken")
		}
		if strings.Contains(err.Error(), "2000") {
			break
		}
	}
	if _, err := client.Export(metadata.AppendToOutgoingContext(context.Background(), "x", strings.Repeat("x", 1500)), export()); err != nil {
		t.Error(err)
	}
	nothingIsHeld(t, a)
}

// A message of gRPC that waits for its turn keeps its place when its sender has gone, and is not handed on.
func TestGRPCMessageWaits(t *testing.T) {
	a := begin(t, func(c *Config) { c.Timeout = 200 * time.Millisecond })
	end, err := a.takeTurn(context.Background(), 100*mib)
	if err != nil {
		t.Fatal(err)
	}
	client := dial(t, a, &receiver{begun: make(chan struct{}), over: make(chan struct{})})
	gone, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := client.Export(gone, export()); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if a.streams.used.Load() != 1 {
		t.Error("its place was given away while its message was in memory")
	}
	end()
	nothingIsHeld(t, a)
}

// Every setting is read, and every mistake told.
func TestConfig(t *testing.T) {
	config := defaultConfig().(*Config)
	settings := map[string]any{
		"request_limit_mib": 1, "waiting_limit_mib": 2, "max_grpc_requests": 3, "max_header_bytes": 5, "timeout": "4s",
	}
	if err := confmap.NewFromStringMap(settings).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	if *config != (Config{1, 2, 3, 5, 4 * time.Second}) {
		t.Errorf("%+v", config)
	}
	err := (&Config{}).Validate()
	err = errors.Join(err, (&Config{MaxHeaderBytes: 2 * mib}).Validate())
	for _, part := range []string{
		"request_limit_mib: 0", "waiting_limit_mib: 0", "max_grpc_requests: 0", "max_header_bytes: 0", "max_header_bytes: 2097152", "timeout: 0s",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not told in %v", part, err)
		}
	}
}
