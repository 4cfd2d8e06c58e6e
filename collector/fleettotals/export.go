package fleettotals

import (
	"sync"

	"github.com/fleet-telemetry/collector/internal/exemplars"
	"github.com/fleet-telemetry/collector/internal/labels"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// export is one request, decoded without a lock. Its points lie in few large slices that the next request uses again.
type export struct {
	parts   []part
	metrics []metricRef
	points  []point
	text    []byte // label sets
	bounds  []float64
	counts  []uint64
	links   []exemplars.Exemplar
	dropped drops

	encoder labels.Encoder
	hasher  hasher
}

// part is what one resource of a request reports.
type part struct {
	sender   id
	sequence int64
	numbered bool   // it says which export of which sender it is
	content  uint64 // a hash of what it reports
	points   span
	values   []labels.Label // of the resource labels
}

// metricRef is a metric as a request describes it.
type metricRef struct {
	name, help string
	kind       pagename.Kind
	metric     *metric // once it was looked up
}

// point is what a sender adds to one series. Bounds, counts and links are those of a histogram.
type point struct {
	metric         int
	labels         span
	bounds, counts span
	links          span
	sum            float64
	total          uint64 // of all counts

	cumulative  bool
	stream      id
	start, time int64
}

type span struct{ from, to int }

var exports = sync.Pool{New: func() any { return &export{} }}

func (e *export) reset(config *Config) {
	e.parts, e.metrics, e.points = e.parts[:0], e.metrics[:0], e.points[:0]
	e.text, e.bounds, e.counts, e.links = e.text[:0], e.bounds[:0], e.counts[:0], e.links[:0]
	e.dropped = drops{}
	e.encoder.MaxLabels, e.encoder.MaxBytes = config.MaxLabels, config.MaxLabelBytes
}

// release lets the next request use it; nothing of this one is kept alive by it.
func (e *export) release() {
	clear(e.metrics)
	clear(e.parts)
	exports.Put(e)
}

func (e *export) set(p *point) []byte         { return e.text[p.labels.from:p.labels.to] }
func (e *export) boundsOf(p *point) []float64 { return e.bounds[p.bounds.from:p.bounds.to] }
func (e *export) countsOf(p *point) []uint64  { return e.counts[p.counts.from:p.counts.to] }

func (e *export) linksOf(p *point) []exemplars.Exemplar { return e.links[p.links.from:p.links.to] }

// reason is why a point is not counted.
type reason int

const (
	dropKind        reason = iota // neither a sum nor a histogram, or not what the metric is
	dropTemporality               // neither delta nor cumulative
	dropAmount                    // negative, infinite or not a number
	dropBuckets                   // counts and bounds do not go together
	dropLabels                    // too many or too long
	dropText                      // not UTF-8
	dropName                      // no name, or one that another metric has on the page
	dropNames                     // beyond the budget of unknown names
	dropOverflow                  // the sum or the count would leave its range
	reasons
)

var reasonNames = [reasons]string{"kind", "temporality", "amount", "buckets", "labels", "text", "name", "names", "overflow"}

type drops [reasons]int64

func (d *drops) add(more *drops) {
	for i, n := range more {
		d[i] += n
	}
}
