package fleetadmission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/collector/extension/extensionmiddleware"
)

// step is what a body takes at a time; each request takes one at least.
const step = 32 << 10

var (
	errBusy     = errors.New("no room for the request")
	errNoTurn   = errors.New("no turn for the request in time")
	errLongHead = errors.New("a head beyond its limit")
)

// GetHTTPHandler wraps the handler of a receiver. Its requests are uncompressed as they are read, and bounded by `max_request_body_size`.
func (a *admission) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(_ context.Context, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, next) }), nil
	}, nil
}

func (a *admission) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if headerBytes(r) > a.config.MaxHeaderBytes {
		a.refuse(w, r, errLongHead)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.config.Timeout)
	defer cancel()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.config.Timeout)) // a body that comes slower holds memory
	body, held, err := a.read(r.Body, r.ContentLength)
	defer func() { a.waiting.give(held) }()
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	end, err := a.takeTurn(ctx, len(body))
	if err != nil {
		a.refuse(w, r, errNoTurn)
		return
	}
	defer end()
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	next.ServeHTTP(w, r)
}

// headerBytes is the size of a head: its first line and its headers.
func headerBytes(r *http.Request) int64 {
	size := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return int64(size)
}

// read takes room for a body as it comes, and tells how much; where there is none it holds nothing.
func (a *admission) read(from io.Reader, length int64) (body []byte, held int64, err error) {
	var into bytes.Buffer
	into.Grow(int(min(max(length, 0), step)) + bytes.MinRead)
	for {
		if !a.waiting.takeMore(held, step) {
			return nil, 0, errBusy
		}
		held += step
		_, err := io.CopyN(&into, from, step)
		if errors.Is(err, io.EOF) {
			return into.Bytes(), held, nil
		}
		if err != nil {
			return nil, held, err
		}
	}
}

// refuse says why, and what to do.
func (a *admission) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, why, sentence := a.explain(err)
	a.own.refuse(r.Context(), "http", why)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, sentence, status)
}

func (a *admission) explain(err error) (status int, why reason, sentence string) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, refusedBusy, fmt.Sprintf("Requests that wait take all that waiting_limit_mib of fleet_admission "+
			"lets them have, %d MiB: repeat this one later.", a.config.WaitingLimitMiB)
	case errors.Is(err, errNoTurn):
		return http.StatusServiceUnavailable, refusedBusy, fmt.Sprintf("Others took all that request_limit_mib of fleet_admission lets be decoded "+
			"at once, %d MiB, for as long as timeout lets a request take, %s: repeat this one later.", a.config.RequestLimitMiB, a.config.Timeout)
	case errors.Is(err, errLongHead):
		return http.StatusRequestHeaderFieldsTooLarge, refusedSize, fmt.Sprintf("The headers of the request are larger than max_header_bytes "+
			"of fleet_admission lets them be, %d bytes: send fewer.", a.config.MaxHeaderBytes)
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, refusedSize, fmt.Sprintf("The request is larger, uncompressed, than max_request_body_size "+
			"lets it be, %d bytes: send less at once.", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, refusedSlow, fmt.Sprintf("The request did not come within timeout of fleet_admission, %s: "+
			"repeat it.", a.config.Timeout)
	}
	return http.StatusBadRequest, refusedDamaged, "The request cannot be read as its Content-Encoding says: compress it anew."
}
