package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// sender is one process of a fleet, as the collector sees it: it has a name, one export under way, and repeats that until it is answered.
type sender struct {
	fleet    *fleet
	way      way
	number   int
	instance string
	name     string
	sequence int64
	begun    time.Time
	events   []int64 // by block, since it began
}

func (f *fleet) newSender(number int, through way) *sender {
	s := &sender{
		fleet: f, way: through, number: number, name: randomName(), begun: time.Now(), events: make([]int64, f.traffic.blocks()),
	}
	s.instance = fmt.Sprintf("host-%d-%s", number, s.name[:4])
	return s
}

func randomName() string {
	name := make([]byte, 16)
	_, _ = rand.Read(name) // it never fails
	return hex.EncodeToString(name)
}

// run exports at the fleet's interval until it is over; each life has a name and numbers of its own.
func (f *fleet) run(number int) {
	through := newWay(f.options.connection)
	r := mathrand.New(mathrand.NewSource(int64(number)))
	next := time.Now().Add(time.Duration(r.Int63n(int64(f.interval) + 1)))
	for s := f.newSender(number, through); f.waitTill(next); next = next.Add(f.interval) {
		if f.options.life > 0 && time.Since(s.begun) > f.options.life {
			s = f.newSender(number, through)
			f.lives.Add(1)
		}
		if late := time.Since(next); late > f.interval {
			next = time.Now() // what could not be kept is not made up for in a burst
		}
		s.export(int(s.sequence)*f.options.senders + number)
	}
}

// export sends one block of the series until it is taken.
func (s *sender) export(turn int) {
	f := s.fleet
	block := turn % f.traffic.blocks()
	s.sequence++
	s.events[block]++
	events, start := int64(1), time.Now().Add(-f.interval)
	if f.traffic.cumulative {
		events, start = s.events[block], s.begun
	}
	body := s.request(f.traffic.export(block, events, start))
	for !f.take(s, block, body) {
		if f.isLongOver() {
			f.givenUp.Add(1)
			return
		}
		f.retries.Add(1)
		time.Sleep(time.Duration(20+mathrand.Intn(60)) * time.Millisecond)
	}
	if n := f.options.levels; n > 0 {
		_, _ = s.post(request(attributesOf(s.instance), points(levels(n)))) // the next one says it again
	}
}

func (s *sender) request(md pmetric.Metrics) []byte {
	resource := attributesOf(s.instance)
	if s.fleet.options.numbered {
		resource = append(resource, numbered(s.name, s.sequence)...)
	}
	return request(resource, points(md))
}

func (s *sender) post(body []byte) (int, error) {
	if s.fleet.options.numbered {
		return s.way.post(s.fleet.target, s.name, body)
	}
	return s.way.post(s.fleet.target, "", body)
}
