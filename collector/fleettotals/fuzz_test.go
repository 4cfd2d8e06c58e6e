package fleettotals

import (
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/fleet-telemetry/collector/internal/labels"
)

// No request makes the processor panic, and nothing of any can reach a page that is not UTF-8.
func FuzzRequest(f *testing.F) {
	marshaler := &pmetric.ProtoMarshaler{}
	for _, r := range []request{
		newRequest().from("a", 1).count("c", 1, "k", "v").observe("h", []float64{1, 2}, 1, 2, 3),
		newRequest().with("deployment.environment", "\xff").count("c\xff", 1, "\xff", "\xff"),
		cumulative(1, 2, 3),
		newRequest().from("b", 1).exponential("e", 5, -3, 1, 1, 0, 2),
	} {
		b, err := marshaler.MarshalMetrics(r.md)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	p := begin(f, memory(), newPage(), func(c *Config) { c.Budget.UnknownSeries = 50 })
	f.Fuzz(func(t *testing.T, b []byte) {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b)
		if err != nil {
			return
		}
		request{md: md}.send(t, p)
		for _, m := range p.metrics {
			if labels.MetricName(m.name) != m.name || !utf8.ValidString(m.help) {
				t.Fatalf("metric %q", m.name)
			}
			for _, s := range m.series {
				if !s.set.Valid() || !isAmount(s.sum) || !ascend(s.bounds) {
					t.Fatalf("series %q: %v %v", s.set, s.sum, s.bounds)
				}
			}
		}
	})
}

// No stored record makes the reader panic, and what it reads it writes the same.
func FuzzRecord(f *testing.F) {
	p := begin(f, memory(), newPage())
	newRequest().from("a", 1).count("c", 1, "k", "v").observe("h", []float64{1}, 1, 2).send(f, p)
	cumulative(p.ledger.Identity().Birth+1, p.ledger.Identity().Birth+2, 3).send(f, p)
	for _, table := range []byte{tableMetrics, tableDefinitions, tableValues, tableSenders, tableStreams} {
		f.Add(table, p.AppendRecord(nil, table, 0))
	}
	f.Fuzz(func(t *testing.T, table byte, record []byte) {
		s := &stored{}
		if len(record) == 0 || s.visit(table, 0, record) != nil {
			return
		}
		var again []byte
		switch {
		case len(s.metrics.records) > 0:
			again = appendMetric(nil, s.metrics.records[0])
		case len(s.senders.records) > 0:
			e := s.senders.records[0]
			again = appendSender(nil, e.key, e.sighting, e.stored)
		case len(s.streams.records) > 0:
			e := s.streams.records[0]
			again = appendStream(nil, e.key, e.sighting, e.stored)
		default:
			return
		}
		second := &stored{}
		if err := second.visit(table, 0, again); err != nil {
			t.Fatalf("%q was read and written as %q, which cannot be read", record, again)
		}
	})
}
