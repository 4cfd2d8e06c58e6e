package fleetprometheus

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"
)

const (
	restoring  = "The totals are being restored after a start: they are here in a moment, none of them fell.\n"
	tooMany    = "More pages are asked for at once than max_scrapes allows: ask again.\n"
	writeLimit = time.Minute
)

// serve answers with the page, or with 503 while a part of it would be missing.
func (e *prometheusExporter) serve(w http.ResponseWriter, r *http.Request) {
	if !e.complete.Load() {
		unavailable(w, restoring)
		return
	}
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Now().Add(writeLimit)) // whoever reads no faster holds memory
	scrape := e.scrapes.begin(func() { _ = connection.SetWriteDeadline(time.Now()) })
	if scrape == nil {
		unavailable(w, tooMany)
		return
	}
	defer e.scrapes.end(scrape)
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	w.Header().Set("Content-Type", string(format))
	to, end := compressed(w, r)
	if err := e.write(to, format); err != nil {
		e.telemetry.Logger.Debug("a page could not be written", zap.Error(err))
	}
	end()
}

func unavailable(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, strings.TrimSuffix(why, "\n"), http.StatusServiceUnavailable)
}

// write encodes family by family; a family that comes or goes meanwhile is there or not.
func (e *prometheusExporter) write(to io.Writer, format expfmt.Format) error {
	e.page.sweep()
	var options []expfmt.EncoderOption
	if e.config.CreatedLines {
		options = append(options, expfmt.WithCreatedLines())
	}
	encoder := expfmt.NewEncoder(to, format, options...)
	b := blocks.Get().(*block)
	defer blocks.Put(b)
	for _, name := range e.page.names() {
		family := e.page.fill(b, name)
		if family == nil {
			continue
		}
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		return closer.Close()
	}
	return nil
}

var gzips = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a legal one
	return w
}}

// compressed is where to write the page, and what ends it.
func compressed(w http.ResponseWriter, r *http.Request) (io.Writer, func()) {
	if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
		return w, func() {}
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Vary", "Accept-Encoding")
	z := gzips.Get().(*gzip.Writer)
	z.Reset(w)
	return z, func() {
		_ = z.Close()
		gzips.Put(z)
	}
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" || coding == "*" {
			return strings.ReplaceAll(strings.TrimSpace(quality), " ", "") != "q=0"
		}
	}
	return false
}
