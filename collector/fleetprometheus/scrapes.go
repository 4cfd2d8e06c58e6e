package fleetprometheus

import (
	"slices"
	"sync"
	"time"
)

// scrapes is the pages under way. A reader that takes its time, or none at all, has to make room for who comes later: otherwise a few of
// them would keep Prometheus out.
type scrapes struct {
	most       int
	yieldAfter time.Duration
	now        func() time.Time

	mu      sync.Mutex
	running []*scrape // the oldest first
}

type scrape struct {
	begun time.Time
	cut   func() // ends it early; not called after it has ended
}

// begin is a new page, or none where others have as much right to be under way.
func (s *scrapes) begin(cut func()) *scrape {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &scrape{begun: s.now(), cut: cut}
	if len(s.running) >= s.most {
		oldest := s.running[0]
		if one.begun.Sub(oldest.begun) < s.yieldAfter {
			return nil
		}
		oldest.cut()
		s.running = s.running[1:]
	}
	s.running = append(s.running, one)
	return one
}

func (s *scrapes) end(one *scrape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.running, one); i >= 0 {
		s.running = slices.Delete(s.running, i, i+1)
	}
}
