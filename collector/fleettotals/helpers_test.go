package fleettotals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"

	"github.com/fleet-telemetry/collector/internal/handover"
	"github.com/fleet-telemetry/collector/internal/storagetest"
)

var storageID = component.MustNewID("file_storage")

type host struct{ storage storage.Extension }

func (h host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{storageID: h.storage}
}

// page is what an exporter would show; it notes what no page may do.
type page struct {
	mu       sync.Mutex
	shown    map[string]float64
	fell     []string
	complete bool
}

func newPage() *page { return &page{shown: map[string]float64{}} }

func (p *page) consume(_ context.Context, md pmetric.Metrics) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		p.complete = p.complete || handover.IsComplete(rm)
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				p.take(m)
			}
		}
	}
	return nil
}

func (p *page) take(m pmetric.Metric) {
	if m.Type() == pmetric.MetricTypeSum {
		for _, dp := range m.Sum().DataPoints().All() {
			p.show(fmt.Sprint(m.Name(), dp.Attributes().AsRaw()), dp.DoubleValue())
		}
		return
	}
	if m.Type() == pmetric.MetricTypeExponentialHistogram { // the same as the histogram before it
		return
	}
	for _, dp := range m.Histogram().DataPoints().All() {
		at := fmt.Sprint(m.Name(), dp.Attributes().AsRaw())
		p.show(at+" sum", dp.Sum())
		count := uint64(0)
		for i, n := range dp.BucketCounts().All() {
			count += n
			bound := "+Inf"
			if i < dp.ExplicitBounds().Len() {
				bound = fmt.Sprint(dp.ExplicitBounds().At(i))
			}
			p.show(at+" le "+bound, float64(count))
		}
	}
}

func (p *page) show(series string, value float64) {
	if value < p.shown[series] {
		p.fell = append(p.fell, fmt.Sprint(series, ": ", p.shown[series], " to ", value))
	}
	p.shown[series] = value
}

// edit changes a configuration.
type edit func(*Config)

func begin(t testing.TB, m storage.Extension, to *page, edits ...edit) *totals {
	t.Helper()
	p, err := start(m, to, edits...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func start(m storage.Extension, to *page, edits ...edit) (*totals, error) {
	p, err := newStopped(edits...)
	if err != nil {
		return nil, err
	}
	p.next, _ = consumer.NewMetrics(to.consume)
	return p, p.Start(context.Background(), host{m})
}

// newStopped is a processor that was not started.
func newStopped(edits ...edit) (*totals, error) {
	config := defaultConfig().(*Config)
	config.Storage = &storageID
	config.Budget.ReservedSeries = 0
	config.EmitInterval = time.Hour // by end only
	for _, e := range edits {
		e(config)
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	set := processor.Settings{ID: component.MustNewID("fleet_totals"), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	p, err := newTotals(config, set, nil)
	if err != nil {
		return nil, err
	}
	p.store.patience = 100 * time.Millisecond
	return p, nil
}

func end(t testing.TB, p *totals) {
	t.Helper()
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// request is an export that is being put together.
type request struct {
	md pmetric.Metrics
	rm pmetric.ResourceMetrics
}

func newRequest() request {
	md := pmetric.NewMetrics()
	return request{md, md.ResourceMetrics().AppendEmpty()}
}

// from makes it a numbered export.
func (r request) from(sender string, sequence int64) request {
	r.rm.Resource().Attributes().PutStr(senderKey, sender)
	r.rm.Resource().Attributes().PutInt(sequenceKey, sequence)
	return r
}

func (r request) with(attribute, value string) request {
	r.rm.Resource().Attributes().PutStr(attribute, value)
	return r
}

// count adds a delta of a counter; labels are name, value, name, value and so on.
func (r request) count(metric string, value float64, labels ...string) request {
	m := r.rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	m.SetEmptySum().SetIsMonotonic(true)
	m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	dp := m.Sum().DataPoints().AppendEmpty()
	dp.SetDoubleValue(value)
	for i := 0; i < len(labels); i += 2 {
		dp.Attributes().PutStr(labels[i], labels[i+1])
	}
	return r
}

// observe adds a delta of a histogram.
func (r request) observe(metric string, bounds []float64, counts ...uint64) request {
	m := r.rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	dp := m.Histogram().DataPoints().AppendEmpty()
	dp.ExplicitBounds().FromRaw(bounds)
	dp.BucketCounts().FromRaw(counts)
	dp.SetSum(1)
	return r
}

func (r request) send(t testing.TB, p *totals) {
	t.Helper()
	if err := p.ConsumeMetrics(context.Background(), r.md); err != nil {
		t.Fatal(err)
	}
}

// sums is the durable sum of each series, histograms by their counts.
func sums(p *totals) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := map[string]string{}
	for _, m := range p.metrics {
		for _, s := range m.series {
			var labels []string
			for name, value := range s.set.All() {
				labels = append(labels, name+"="+value)
			}
			text := fmt.Sprint(s.sum)
			if s.counts != nil {
				text = fmt.Sprint(s.bounds, s.counts, s.sum)
			}
			shown[m.name+"{"+strings.Join(labels, ",")+"}"] = text
		}
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(shown)) {
		all = append(all, key+" "+shown[key])
	}
	return strings.Join(all, "; ")
}

func expect(t testing.TB, p *totals, want string) {
	t.Helper()
	if got := sums(p); got != want {
		t.Errorf("totals are\n  %s\nnot\n  %s", got, want)
	}
}

func known(metrics ...string) edit {
	return func(c *Config) {
		c.KnownMetrics = map[string]KnownMetric{}
		for _, name := range metrics {
			c.KnownMetrics[name] = KnownMetric{}
		}
	}
}

func memory() *storagetest.Memory { return storagetest.NewMemory() }
