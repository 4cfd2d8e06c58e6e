package main

import (
	"log"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// fleet is senders that export at one pace, whatever their number: then runs differ in nothing but that.
type fleet struct {
	options  *options
	traffic  traffic
	target   string
	interval time.Duration // of one sender
	over     chan struct{}
	turns    chan struct{} // as many as may export at once
	paused   atomic.Bool

	taken   []atomic.Int64 // by block: exports that were acknowledged
	bytes   atomic.Int64
	exports atomic.Int64
	retries atomic.Int64
	lives   atomic.Int64
	givenUp atomic.Int64
	ended   atomic.Int64 // unix nanoseconds; 0 until then

	mu        sync.Mutex
	latencies []time.Duration
}

func newFleet(o *options, target string) *fleet {
	t := newTraffic(o)
	if o.rate <= 0 {
		log.Fatalf("-rate %g: senders need a pace; give the points per second of all together", o.rate)
	}
	each := float64(o.senders*o.points) / o.rate
	return &fleet{
		options: o, traffic: t, target: target, interval: time.Duration(each * float64(time.Second)),
		over: make(chan struct{}), turns: make(chan struct{}, o.atOnce), taken: make([]atomic.Int64, t.blocks()),
	}
}

// waitTill waits for a moment; false when the fleet is to end. A pause moves the moment to its end.
func (f *fleet) waitTill(moment time.Time) bool {
	for {
		select {
		case <-f.over:
			return false
		case <-time.After(time.Until(moment)):
		}
		if !f.paused.Load() {
			return true
		}
		moment = time.Now().Add(50 * time.Millisecond)
	}
}

// start lets them all send; what it gives ends them.
func (f *fleet) start() (stop func()) {
	var all sync.WaitGroup
	f.lives.Add(int64(f.options.senders))
	for n := range f.options.senders {
		all.Go(func() { f.run(n) })
	}
	return func() {
		f.ended.Store(time.Now().UnixNano())
		close(f.over)
		all.Wait()
	}
}

// isLongOver tells whether what is not answered now will not be.
func (f *fleet) isLongOver() bool {
	ended := f.ended.Load()
	return ended != 0 && time.Since(time.Unix(0, ended)) > 20*time.Second
}

// take tells whether an export was taken.
func (f *fleet) take(s *sender, block int, body []byte) bool {
	f.turns <- struct{}{}
	defer func() { <-f.turns }()
	begun := time.Now()
	status, err := s.post(body)
	if err != nil || status < http.StatusOK || status >= http.StatusMultipleChoices {
		return false
	}
	f.taken[block].Add(1)
	f.exports.Add(1)
	f.bytes.Add(int64(len(body)))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latencies = append(f.latencies, time.Since(begun))
	return true
}

// truth is the events that were acknowledged: each point of an export stands for one.
func (f *fleet) truth() (events int64) {
	for i := range f.taken {
		events += f.taken[i].Load() * int64(f.traffic.points)
	}
	return events
}

// wrong is how many series of the page are not what was acknowledged.
func (f *fleet) wrong(shown map[string]float64) (n int) {
	for block := range f.taken {
		events := f.taken[block].Load()
		if events == 0 {
			continue
		}
		for series := block * f.traffic.points; series < (block+1)*f.traffic.points; series++ {
			for name, each := range shownAs(series) {
				if value, ok := shown[name]; !ok || int64(value) != each*events {
					n++
				}
			}
		}
	}
	return n
}

// forgetLatencies gives those of the exports since it was asked last.
func (f *fleet) forgetLatencies() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.latencies)
	f.latencies = f.latencies[:0]
	return all
}
