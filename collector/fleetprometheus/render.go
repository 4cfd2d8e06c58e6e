package fleetprometheus

import (
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/fleet-telemetry/collector/internal/exemplars"
	"github.com/fleet-telemetry/collector/internal/pagename"
)

// block is one family in the form that the encoders of all formats take, in space that the next family uses again.
type block struct {
	family  dto.MetricFamily
	metrics []*dto.Metric

	all        []dto.Metric
	counters   []dto.Counter
	gauges     []dto.Gauge
	histograms []dto.Histogram
	starts     []timestamppb.Timestamp
	pairs      []dto.LabelPair
	pairAt     []*dto.LabelPair
	texts      []string
	buckets    []dto.Bucket
	bucketAt   []*dto.Bucket
	floats     []float64
	counts     []uint64
}

var blocks = sync.Pool{New: func() any { return &block{} }}

// size is how much of each kind a family takes.
type size struct{ series, pairs, buckets int }

// fill makes the block of a family as it is now; nil if it is gone. What the block has does not change any more.
func (p *page) fill(b *block, name string) *dto.MetricFamily {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.families[name]
	if f == nil {
		return nil
	}
	order := f.inOrder()
	b.reserve(f, sizeOf(order))
	for _, s := range order {
		b.add(f.kind, s)
	}
	kind := map[pagename.Kind]dto.MetricType{
		pagename.Counter: dto.MetricType_COUNTER, pagename.Gauge: dto.MetricType_GAUGE, pagename.Histogram: dto.MetricType_HISTOGRAM,
	}[f.kind]
	help := f.help
	if !utf8.ValidString(help) {
		help = strings.ToValidUTF8(help, "")
	}
	b.family.Name, b.family.Help, b.family.Type, b.family.Metric = &f.name, &help, &kind, b.metrics
	return &b.family
}

func sizeOf(all []*series) (n size) {
	n.series = len(all)
	for _, s := range all {
		for range s.set.All() {
			n.pairs++
		}
		if s.hist != nil {
			n.buckets += len(s.hist.counts)
		}
	}
	return n
}

// reserve makes room before anything is added: nothing may move while something points at it.
func (b *block) reserve(f *family, n size) {
	b.metrics = room(b.metrics, n.series)
	b.all = room(b.all, n.series)
	b.starts = room(b.starts, n.series)
	b.pairs, b.pairAt, b.texts = room(b.pairs, n.pairs), room(b.pairAt, n.pairs), room(b.texts, 2*n.pairs)
	b.floats, b.counts = room(b.floats, n.series+n.buckets), room(b.counts, n.series+n.buckets)
	switch f.kind {
	case pagename.Counter:
		b.counters = room(b.counters, n.series)
	case pagename.Gauge:
		b.gauges = room(b.gauges, n.series)
	case pagename.Histogram:
		b.histograms = room(b.histograms, n.series)
		b.buckets, b.bucketAt = room(b.buckets, n.buckets), room(b.bucketAt, n.buckets)
	}
}

func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, 0, n)
	}
	return s[:0]
}

// next is the next free element.
func next[T any](s *[]T) *T {
	*s = (*s)[:len(*s)+1]
	return &(*s)[len(*s)-1]
}

func (b *block) add(kind pagename.Kind, s *series) {
	m := next(&b.all)
	m.Label, m.Counter, m.Gauge, m.Histogram = b.labels(s), nil, nil, nil
	switch kind {
	case pagename.Counter:
		m.Counter = next(&b.counters)
		m.Counter.Value, m.Counter.CreatedTimestamp = b.float(s.value), b.start(s)
	case pagename.Gauge:
		m.Gauge = next(&b.gauges)
		m.Gauge.Value = b.float(s.value)
	case pagename.Histogram:
		m.Histogram = next(&b.histograms)
		b.histogram(m.Histogram, s)
	}
	b.metrics = append(b.metrics, m)
}

func (b *block) labels(s *series) []*dto.LabelPair {
	from := len(b.pairAt)
	for name, value := range s.set.All() {
		pair := next(&b.pairs)
		pair.Name, pair.Value = b.text(name), b.text(value)
		b.pairAt = append(b.pairAt, pair)
	}
	return b.pairAt[from:len(b.pairAt):len(b.pairAt)]
}

// histogram adds the buckets up; the last one, of which the bound is +Inf, is the count, and is there only for its exemplar.
func (b *block) histogram(h *dto.Histogram, s *series) {
	from, sum := len(b.bucketAt), uint64(0)
	for i, n := range s.hist.counts {
		sum += n
		bound, link := s.hist.bound(i), s.link(i)
		if math.IsInf(bound, 1) && link == nil {
			break
		}
		bucket := next(&b.buckets)
		bucket.CumulativeCount, bucket.UpperBound, bucket.Exemplar = b.count(sum), b.float(bound), link
		b.bucketAt = append(b.bucketAt, bucket)
	}
	h.Bucket = b.bucketAt[from:len(b.bucketAt):len(b.bucketAt)]
	h.SampleCount, h.SampleSum, h.CreatedTimestamp = b.count(sum), b.float(s.value), b.start(s)
	s.native.put(h)
}

// bound is the upper bound of a bucket.
func (h *buckets) bound(bucket int) float64 {
	if bucket < len(h.bounds) {
		return h.bounds[bucket]
	}
	return math.Inf(1)
}

// link is the exemplar of a bucket; nil if it has none.
func (s *series) link(bucket int) *dto.Exemplar {
	for _, link := range s.links {
		if exemplars.Bucket(link.Value, s.hist.bounds) == bucket {
			return exemplarOf(link)
		}
	}
	return nil
}

func exemplarOf(link exemplars.Exemplar) *dto.Exemplar {
	trace, span := link.Trace.String(), link.Span.String()
	e := &dto.Exemplar{Value: &link.Value, Label: []*dto.LabelPair{{Name: &traceID, Value: &trace}}}
	if span != "" {
		e.Label = append(e.Label, &dto.LabelPair{Name: &spanID, Value: &span})
	}
	if link.At > 0 {
		e.Timestamp = timestamppb.New(time.Unix(0, link.At))
	}
	return e
}

// Names of the labels of an exemplar, by which Grafana finds the trace.
var traceID, spanID = "trace_id", "span_id"

func (b *block) start(s *series) *timestamppb.Timestamp {
	if s.start <= 0 {
		return nil
	}
	t := next(&b.starts)
	t.Seconds, t.Nanos = s.start/1e9, int32(s.start%1e9)
	return t
}

func (b *block) text(v string) *string {
	at := next(&b.texts)
	*at = v
	return at
}

func (b *block) float(v float64) *float64 {
	at := next(&b.floats)
	*at = v
	return at
}

func (b *block) count(v uint64) *uint64 {
	at := next(&b.counts)
	*at = v
	return at
}
