package fleettotals

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fleet-telemetry/collector/internal/handover"
)

func lastPoint(t *testing.T, sink *consumertest.MetricsSink) pmetric.NumberDataPoint {
	t.Helper()
	all := sink.AllMetrics()
	m := all[len(all)-1].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	return m.Sum().DataPoints().At(0)
}

// When the clock steps back, what is handed on is not older than before, and a series began when it did.
func TestTimesNeverGoBack(t *testing.T) {
	p := begin(t, memory(), newPage())
	sink := &consumertest.MetricsSink{}
	now := time.Now()
	p.next, p.clock = sink, newClock(func() time.Time { return now })
	newRequest().count("c", 1).send(t, p)
	p.emit(context.Background())
	first := lastPoint(t, sink)
	now = now.Add(-time.Hour)
	newRequest().count("c", 1).send(t, p)
	p.emit(context.Background())
	second := lastPoint(t, sink)
	if second.Timestamp() <= first.Timestamp() || second.StartTimestamp() != first.StartTimestamp() || second.DoubleValue() != 2 {
		t.Error(first.Timestamp(), second.Timestamp(), first.StartTimestamp(), second.StartTimestamp(), second.DoubleValue())
	}
}

// What could not be handed on is handed on with the next, and only then the next consumer is told that it has everything.
func TestFailedHandOverIsRepeated(t *testing.T) {
	m := memory()
	newRequest().count("c", 1).send(t, begin(t, m, newPage()))
	p, err := newStopped()
	if err != nil {
		t.Fatal(err)
	}
	p.next = consumertest.NewErr(errors.New("not now"))
	if err := p.Start(context.Background(), host{m.Copy()}); err != nil {
		t.Fatal(err)
	}
	sink := &consumertest.MetricsSink{}
	p.next = sink
	p.emit(context.Background())
	all := sink.AllMetrics()
	if len(all) != 2 || all[0].DataPointCount() != 1 || !handover.IsComplete(all[1].ResourceMetrics().At(0)) {
		t.Error(len(all), "requests were handed on")
	}
}
