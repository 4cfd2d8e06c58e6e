package fleetprometheus

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"

	"github.com/fleet-telemetry/collector/fleetlevels"
	"github.com/fleet-telemetry/collector/fleettotals"
	"github.com/fleet-telemetry/collector/internal/storagetest"
)

type storageHost struct{ storage component.Component }

func (h storageHost) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.MustNewID("file_storage"): h.storage}
}

// whole is everything between a request and the two pages.
type whole struct {
	totals, now *prometheusExporter
	intoTotals  consumer.Metrics
	intoLevels  consumer.Metrics
	honest      int
}

func newWhole(f *testing.F) *whole {
	f.Helper()
	w := &whole{totals: begin(f), now: begin(f)}
	totals := fleettotals.NewFactory()
	config := totals.CreateDefaultConfig().(*fleettotals.Config)
	storage := component.MustNewID("file_storage")
	config.Storage, config.EmitInterval = &storage, time.Millisecond
	config.KnownMetrics = map[string]fleettotals.KnownMetric{"honest_total": {}, "honest_seconds": {Bounds: []float64{1, 2}}}
	config.Budget.UnknownSeries, config.Budget.UnknownNames, config.MaxSenders, config.MaxStreams = 200, 40, 50, 50
	p, err := totals.CreateMetrics(context.Background(), settings(totals.Type()), config, w.totals)
	if err != nil {
		f.Fatal(err)
	}
	w.intoTotals = start(f, p)
	levels := fleetlevels.NewFactory()
	q, err := levels.CreateMetrics(context.Background(), settings(levels.Type()), levels.CreateDefaultConfig(), w.now)
	if err != nil {
		f.Fatal(err)
	}
	w.intoLevels = start(f, q)
	return w
}

func settings(kind component.Type) processor.Settings {
	return processor.Settings{ID: component.NewID(kind), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
}

func start(f *testing.F, p processor.Metrics) consumer.Metrics {
	f.Helper()
	if err := p.Start(context.Background(), storageHost{storagetest.NewMemory()}); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	return p
}

func (w *whole) take(t testing.TB, md pmetric.Metrics) {
	t.Helper()
	for _, into := range []consumer.Metrics{w.intoTotals, w.intoLevels} {
		if err := into.ConsumeMetrics(context.Background(), md); err != nil {
			t.Fatal(err)
		}
	}
}

// count is an honest sender's next export: one more of everything.
func (w *whole) count() pmetric.Metrics {
	w.honest++
	md, _ := one()
	rm := md.ResourceMetrics().At(0)
	rm.Resource().Attributes().PutStr("telemetry.sender.id", "honest")
	rm.Resource().Attributes().PutInt("telemetry.sender.sequence", int64(w.honest))
	counter := rm.ScopeMetrics().At(0).Metrics().At(0)
	counter.SetName("honest_total")
	counter.SetEmptySum().SetIsMonotonic(true)
	counter.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	point := counter.Sum().DataPoints().AppendEmpty()
	point.SetDoubleValue(1)
	point.Attributes().PutStr("whose", "honest")
	histogram := rm.ScopeMetrics().At(0).Metrics().AppendEmpty()
	histogram.SetName("honest_seconds")
	histogram.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	observed := histogram.Histogram().DataPoints().AppendEmpty()
	observed.ExplicitBounds().FromRaw([]float64{1, 2})
	observed.BucketCounts().FromRaw([]uint64{0, 1, 0})
	observed.SetSum(1.5)
	observed.Attributes().PutStr("whose", "honest")
	return md
}

// shown tells whether the page has every honest count, and no other.
func (w *whole) shown() (counter float64, inBucket uint64) {
	p := w.totals.page
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.families {
		for set, s := range f.series {
			for name, value := range set.All() {
				if name != "whose" || value != "honest" {
					continue
				}
				if f.name == "honest_total" {
					counter = s.value
				} else if f.name == "honest_seconds" && s.hist != nil {
					inBucket = bucketAt(s.hist, 2)
				}
			}
		}
	}
	return counter, inBucket
}

func bucketAt(b *buckets, bound float64) uint64 {
	for i, each := range b.bounds {
		if each == bound {
			return b.counts[i]
		}
	}
	return math.MaxUint64
}

// Whatever one sender exports, both pages are valid in every format, and the counts of the sender beside it are what it counted.
func FuzzPage(f *testing.F) {
	marshaler := &pmetric.ProtoMarshaler{}
	seed := func(edit func(pmetric.Metric)) {
		md, m := one()
		md.ResourceMetrics().At(0).Resource().Attributes().PutStr("telemetry.sender.id", "a")
		md.ResourceMetrics().At(0).Resource().Attributes().PutInt("telemetry.sender.sequence", 1)
		edit(m)
		b, err := marshaler.MarshalMetrics(md)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, name := range []string{"a_total", "honest_total", "honest_seconds_bucket", "a\xff", ""} {
		for _, value := range []float64{1, -1, math.NaN(), math.Inf(1), math.MaxFloat64} {
			seed(func(m pmetric.Metric) {
				m.SetName(name)
				m.SetEmptySum().SetIsMonotonic(true)
				m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
				dp := m.Sum().DataPoints().AppendEmpty()
				dp.SetDoubleValue(value)
				dp.Attributes().PutStr("k", name)
			})
		}
		seed(func(m pmetric.Metric) {
			m.SetName(name)
			m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(math.MinInt64)
		})
	}
	for _, counts := range [][]uint64{{1, 2, 3}, {math.MaxUint64, 1, 1}, {1}} {
		seed(func(m pmetric.Metric) {
			m.SetName("honest_seconds")
			m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			dp := m.Histogram().DataPoints().AppendEmpty()
			dp.ExplicitBounds().FromRaw([]float64{1, 2})
			dp.BucketCounts().FromRaw(counts)
		})
	}
	w := newWhole(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b)
		if err != nil {
			return
		}
		w.take(t, md)
		w.take(t, w.count())
		wanted := fmt.Sprint(float64(w.honest), uint64(w.honest))
		deadline := time.Now().Add(10 * time.Second)
		for fmt.Sprint(w.shown()) != wanted {
			if time.Now().After(deadline) {
				counter, bucket := w.shown()
				t.Fatalf("%v and %d are shown, not %d", counter, bucket, w.honest)
			}
			time.Sleep(100 * time.Microsecond)
		}
		check(t, w.totals)
		check(t, w.now)
	})
}
