package fleettotals

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// One label set is one series, whoever sent it: order of labels, scopes, units, number types and spelling of names do not matter.
func TestSendersAreOneSeries(t *testing.T) {
	p := begin(t, memory(), newPage())
	newRequest().count("c", 1, "a", "1", "b.c", "2").send(t, p)
	newRequest().count("c", 2, "b_c", "2", "a", "1").send(t, p)
	r := newRequest().count("c", 0, "a", "1", "b_c", "2", "empty", "")
	m := r.rm.ScopeMetrics().At(0)
	m.Scope().SetVersion("2")
	m.Metrics().At(0).SetUnit("1")
	m.Metrics().At(0).Sum().DataPoints().At(0).SetIntValue(4)
	r.send(t, p)
	expect(t, p, "c{a=1,b_c=2,environment=dev} 7")
}

// `environment` is the first attribute there is, and no label of a sender replaces it.
func TestEnvironmentIsTheResources(t *testing.T) {
	p := begin(t, memory(), newPage())
	newRequest().with("deployment.environment", "old").count("c", 1, "environment", "mine").send(t, p)
	newRequest().with("deployment.environment", "old").with("deployment.environment.name", "new").count("c", 1).send(t, p)
	newRequest().count("c", 1).send(t, p)
	expect(t, p, "c{environment=dev} 1; c{environment=new} 1; c{environment=old} 1")
}

// `service_namespace` is on the series of senders that have one, and on no others.
func TestNamespaceIsTheResources(t *testing.T) {
	p := begin(t, memory(), newPage())
	newRequest().with("service.namespace", "shop").count("c", 1, "service_namespace", "mine", "service.namespace", "mine").send(t, p)
	newRequest().with("service.namespace", "search").count("c", 2).send(t, p)
	newRequest().with("service.namespace", "").count("c", 4).send(t, p)
	newRequest().count("c", 8).send(t, p)
	expect(t, p, "c{environment=dev,service_namespace=search} 2; c{environment=dev,service_namespace=shop} 1; c{environment=dev} 12")
}

// Several senders in one request are told apart; of a request that is partly known the rest counts.
func TestPartsOfARequestAreJudgedAlone(t *testing.T) {
	p := begin(t, memory(), newPage())
	one := newRequest().from("a", 1).count("c", 1)
	one.send(t, p)
	both := pmetric.NewMetrics()
	one.rm.CopyTo(both.ResourceMetrics().AppendEmpty())
	newRequest().from("b", 1).count("c", 10).rm.CopyTo(both.ResourceMetrics().AppendEmpty())
	for range 2 {
		if err := p.ConsumeMetrics(context.Background(), both); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, p, "c{environment=dev} 11")
}

// Another resource with the same name of a sender is another sender: it cannot make the other's exports look taken.
func TestStrangerWithTheSameName(t *testing.T) {
	p := begin(t, memory(), newPage())
	newRequest().from("a", 1).with("host", "x").count("c", 1).send(t, p)
	for sequence := range int64(5) {
		newRequest().from("a", sequence+2).with("host", "stranger").count("c", 10).send(t, p)
	}
	newRequest().from("a", 2).with("host", "x").count("c", 100).send(t, p)
	expect(t, p, "c{environment=dev} 151")
}

// Beyond a metric's budget points are counted in its series `other`: the sum is right, other metrics have their room.
func TestFoldingKeepsTheSum(t *testing.T) {
	m := memory()
	small := func(c *Config) {
		known("a", "b")(c)
		c.Budget.SeriesPerMetric, c.Budget.UnknownSeries = 2, 1
	}
	p := begin(t, m, newPage(), small)
	for n := range 10 {
		for _, metric := range []string{"a", "b", "c", "d"} {
			newRequest().count(metric, 1, "k", fmt.Sprint(n)).send(t, p)
		}
	}
	want := "a{environment=dev,k=0} 1; a{environment=dev,k=1} 1; a{environment=dev,k=other} 8; " +
		"b{environment=dev,k=0} 1; b{environment=dev,k=1} 1; b{environment=dev,k=other} 8; " +
		"c{environment=dev,k=0} 1; c{environment=dev,k=other} 9; d{environment=dev,k=other} 10"
	expect(t, p, want)
	if got := fmt.Sprint(p.tally.folded); got != "map[a:8 b:8 c:9 d:10]" {
		t.Error("folded", got)
	}
	p = begin(t, m.Copy(), newPage(), small)
	newRequest().count("a", 1, "k", "9").send(t, p)
	expect(t, p, strings.Replace(want, "a{environment=dev,k=other} 8", "a{environment=dev,k=other} 9", 1))
}

// A reserve is there for each known metric, whatever the others use.
func TestReserveIsKept(t *testing.T) {
	p := begin(t, memory(), newPage(), func(c *Config) {
		known("a", "b")(c)
		c.Budget.MaxSeries, c.Budget.ReservedSeries, c.Budget.UnknownSeries = 10, 2, 100
	})
	for n := range 100 {
		newRequest().count("a", 1, "k", fmt.Sprint(n)).send(t, p)
		newRequest().count("unknown", 1, "k", fmt.Sprint(n)).send(t, p)
	}
	newRequest().count("b", 1, "k", "1").send(t, p)
	newRequest().count("b", 1, "k", "2").send(t, p)
	if got := len(p.metrics["b"].series); got != 2 || p.tally.folded["b"] != 0 {
		t.Error(got, p.tally.folded)
	}
	if got := p.seriesCount(); got > 10+2 { // and one `other` for each of two metrics
		t.Error(got, "series")
	}
}

// Folded points keep their environment where it is one of few.
func TestFoldedKeepFewEnvironments(t *testing.T) {
	p := begin(t, memory(), newPage(), func(c *Config) { c.Budget.UnknownSeries = 1 })
	newRequest().with("deployment.environment.name", "prod").count("c", 1, "k", "1").send(t, p)
	newRequest().with("deployment.environment.name", "prod").count("c", 1, "k", "2").send(t, p)
	for n := range 20 {
		newRequest().with("deployment.environment.name", fmt.Sprint("e", n)).count("c", 1, "k", "3").send(t, p)
	}
	expect(t, p, "c{environment=other,k=other} 20; c{environment=prod,k=1} 1; c{environment=prod,k=other} 1")
}

// Folded points keep their namespace, and those of senders without one get none, whichever the metric's first series has.
func TestFoldedKeepTheirNamespace(t *testing.T) {
	for _, order := range [][]string{{"shop", ""}, {"", "shop"}} {
		p := begin(t, memory(), newPage(), func(c *Config) { c.Budget.UnknownSeries = 2 })
		for _, namespace := range order {
			newRequest().with("service.namespace", namespace).count("c", 1, "k", "1").send(t, p)
		}
		for _, namespace := range append(order, "search") {
			newRequest().with("service.namespace", namespace).count("c", 1, "k", "2").send(t, p)
		}
		expect(t, p, "c{environment=dev,k=1,service_namespace=shop} 1; c{environment=dev,k=1} 1; "+
			"c{environment=dev,k=other,service_namespace=other} 1; c{environment=dev,k=other,service_namespace=shop} 1; "+
			"c{environment=dev,k=other} 1")
	}
}

// Whatever cannot be counted is dropped by its reason, and nothing else of its request.
func TestDroppedPointsDisturbNoOthers(t *testing.T) {
	p := begin(t, memory(), newPage(), func(c *Config) {
		known("k")(c)
		c.KnownMetrics["h"] = KnownMetric{Bounds: []float64{1, 2}}
		c.OtherMetrics = []string{"level"}
		c.Budget.UnknownNames = 3
	})
	newRequest().count("u", 1).observe("w", []float64{1}, 1, 1).send(t, p)
	for name, c := range map[string]struct {
		add    func(request) request
		reason reason
	}{
		"not a number":           {func(r request) request { return r.count("k", math.NaN()) }, dropAmount},
		"infinite":               {func(r request) request { return r.count("k", math.Inf(1)) }, dropAmount},
		"negative":               {func(r request) request { return r.count("k", -1) }, dropAmount},
		"overflow":               {func(r request) request { return r.count("big", math.MaxFloat64).count("big", math.MaxFloat64) }, dropOverflow},
		"known as a counter":     {func(r request) request { return r.observe("k", []float64{1}, 1, 1) }, dropKind},
		"known as a histogram":   {func(r request) request { return r.count("h", 1) }, dropKind},
		"known as a level":       {func(r request) request { return r.count("level", 1) }, dropKind},
		"was a counter":          {func(r request) request { return r.observe("u", []float64{1}, 1, 1) }, dropKind},
		"not UTF-8":              {func(r request) request { return r.count("k", 1, "a", "\xff") }, dropText},
		"value too long":         {func(r request) request { return r.count("k", 1, "a", strings.Repeat("x", 2_000)) }, dropLabels},
		"too many labels":        {func(r request) request { return r.count("k", 1, manyLabels()...) }, dropLabels},
		"no name":                {func(r request) request { return r.count("", 1) }, dropName},
		"long name":              {func(r request) request { return r.count(strings.Repeat("x", 500), 1) }, dropName},
		"a histogram's name":     {func(r request) request { return r.count("h_bucket", 1) }, dropName},
		"unknown histogram's":    {func(r request) request { return r.count("w_count", 1) }, dropName},
		"bounds descend":         {func(r request) request { return r.observe("w", []float64{2, 1}, 1, 1, 1) }, dropBuckets},
		"bound twice":            {func(r request) request { return r.observe("w", []float64{1, 1}, 1, 1, 1) }, dropBuckets},
		"infinite bound":         {func(r request) request { return r.observe("w", []float64{1, math.Inf(1)}, 1, 1, 1) }, dropBuckets},
		"bounds do not go with":  {func(r request) request { return r.observe("w", []float64{1, 2}, 1, 1) }, dropBuckets},
		"counts wrap":            {func(r request) request { return r.observe("w", []float64{1}, math.MaxUint64, 2) }, dropBuckets},
		"counts leave the range": {func(r request) request { return r.observe("w", []float64{1}, 0, math.MaxInt64) }, dropOverflow},
	} {
		before, sent := p.tally.dropped, sumOf(p, "k")
		c.add(newRequest().count("k", 1)).count("k", 1).send(t, p)
		dropped := p.tally.dropped
		for i := range dropped {
			dropped[i] -= before[i]
		}
		if dropped[c.reason] != 1 {
			t.Errorf("%s: dropped %v", name, dropped)
		}
		if got := sumOf(p, "k"); got != sent+2 {
			t.Errorf("%s: the other points of the request count %v, not 2", name, got-sent)
		}
	}
}

func manyLabels() (labels []string) {
	for n := range 100 {
		labels = append(labels, fmt.Sprint("l", n), "v")
	}
	return labels
}

func sumOf(p *totals, metric string) (sum float64) {
	if p.metrics[metric] == nil {
		return 0
	}
	for _, s := range p.metrics[metric].series {
		sum += s.sum
	}
	return sum
}

// New names beyond their budget are dropped, known ones and those that are there go on.
func TestNamesAreBounded(t *testing.T) {
	p := begin(t, memory(), newPage(), known("k"), func(c *Config) { c.Budget.UnknownNames = 5 })
	for n := range 100 {
		newRequest().count(fmt.Sprint("u", n), 1).send(t, p)
	}
	newRequest().count("k", 1).count("u0", 1).send(t, p)
	if len(p.metrics) != 6 || p.tally.dropped[dropNames] != 95 || sumOf(p, "u0") != 2 || sumOf(p, "k") != 1 {
		t.Error(len(p.metrics), p.tally.dropped, sums(p))
	}
}

// A summary and a sum of no temporality are dropped; levels and gauges are none of ours.
func TestOtherKinds(t *testing.T) {
	p := begin(t, memory(), newPage())
	r := newRequest().count("c", 1)
	metrics := r.rm.ScopeMetrics().AppendEmpty().Metrics()
	metrics.AppendEmpty().SetEmptySummary().DataPoints().AppendEmpty()
	metrics.AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty()
	metrics.AppendEmpty().SetEmptySum().DataPoints().AppendEmpty()
	unspecified := metrics.AppendEmpty()
	unspecified.SetName("x")
	unspecified.SetEmptySum().SetIsMonotonic(true)
	unspecified.Sum().DataPoints().AppendEmpty().SetIntValue(1)
	r.send(t, p)
	expect(t, p, "c{environment=dev} 1")
	if p.tally.dropped[dropKind] != 1 || p.tally.dropped[dropTemporality] != 1 {
		t.Error(p.tally.dropped)
	}
}

// A counter that was declared with 0 is there, once, and costs nothing from then on.
func TestZeroDeclares(t *testing.T) {
	m := memory()
	p := begin(t, m, newPage())
	newRequest().count("c", 0).send(t, p)
	size := m.Size()
	newRequest().count("c", 0).send(t, p)
	if m.Size() != size {
		t.Error("a second 0 was stored")
	}
	expect(t, begin(t, m.Copy(), newPage()), "c{environment=dev} 0")
}
