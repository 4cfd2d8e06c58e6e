package main

import (
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// watcher scrapes as Prometheus does, and notes what no page may do: show less than before, or a part.
type watcher struct {
	url         string
	highest     map[string]float64
	scrapes     int
	unavailable int
	fell        int
	missing     int
}

func (w *watcher) run(stop *atomic.Bool) {
	for !stop.Load() {
		w.scrape()
		time.Sleep(time.Duration(20+rand.Intn(80)) * time.Millisecond)
	}
}

func (w *watcher) scrape() {
	r, err := client.Get(w.url)
	if err != nil {
		return // it is dead
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		return // it died
	}
	w.scrapes++
	if r.StatusCode == http.StatusServiceUnavailable {
		w.unavailable++
		return
	}
	shown := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		at := strings.LastIndexByte(line, ' ')
		if value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64); err == nil && line[0] != '#' {
			shown[line[:at]] = value
		}
	}
	for series, highest := range w.highest {
		now, ok := shown[series]
		if !ok {
			w.missing++
		} else if now < highest {
			w.fell++
		}
	}
	for series, value := range shown {
		w.highest[series] = max(value, w.highest[series])
	}
}

// lossyWay is a proxy that loses some of the answers after the collector gave them.
type lossyWay struct {
	upstream string
	share    float64
	listener net.Listener
	lost     atomic.Int64

	mu     sync.Mutex
	random *rand.Rand
}

func newLossyWay(upstream string, share float64, seed int64) *lossyWay {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	w := &lossyWay{upstream: upstream, share: share, listener: listener, random: rand.New(rand.NewSource(seed))}
	go func() { _ = http.Serve(listener, w) }() // until it is closed
	return w
}

func (w *lossyWay) url(path string) string { return "http://" + w.listener.Addr().String() + path }

func (w *lossyWay) close() { w.listener.Close() }

func (w *lossyWay) loses() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.Float64() < w.share
}

// ServeHTTP passes an export on.
func (w *lossyWay) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	status := 0
	if err == nil {
		status, err = w.pass(r, body)
	}
	if err == nil && !w.loses() {
		out.WriteHeader(status)
		return
	}
	if err == nil && status/100 == 2 {
		w.lost.Add(1)
	}
	panic(http.ErrAbortHandler) // the connection ends without an answer
}

func (w *lossyWay) pass(r *http.Request, body []byte) (int, error) {
	on, err := newPost(w.upstream+r.URL.Path, body)
	if err != nil {
		return 0, err
	}
	on.Header = r.Header.Clone()
	return answered(client.Do(on))
}
