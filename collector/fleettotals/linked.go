package fleettotals

import "github.com/fleet-telemetry/collector/internal/exemplars"

// linked bounds the exemplars of all series together. They are not part of what is durable: after a start there are none.
type linked struct {
	most   int
	kept   int
	series []*series // that have any
}

// keep keeps the exemplars of a point that was counted. Where there is no room for one more, all are forgotten: those of series that
// still count are there again soon, and those of series that do not keep no place.
func (l *linked) keep(s *series, links []exemplars.Exemplar) {
	if l.most == 0 {
		return
	}
	for _, link := range links {
		before := len(s.links)
		s.links = s.links.Keep(link, s.bounds)
		l.added(s, before)
	}
}

func (l *linked) added(s *series, before int) {
	if len(s.links) == before {
		return
	}
	if before == 0 {
		l.series = append(l.series, s)
	}
	if l.kept++; l.kept > l.most {
		l.forget()
	}
}

func (l *linked) forget() {
	for _, s := range l.series {
		s.links = nil
	}
	clear(l.series)
	l.series, l.kept = l.series[:0], 0
}
