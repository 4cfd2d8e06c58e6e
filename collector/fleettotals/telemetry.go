package fleettotals

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/metric"

	"github.com/fleet-telemetry/collector/internal/budget"
)

// instruments are the processor's own metrics. What is counted under the lock is read when somebody asks.
type instruments struct {
	commitSeconds otel.Float64Histogram
	commitExports otel.Int64Histogram
}

// observation is one counter or gauge, read from totals while its lock is held.
type observation struct {
	name, help string
	read       func(t *totals, observe func(int64, ...attribute.KeyValue))
}

var counters = []observation{
	{"exports", "Exports that are counted and durable.", one(func(t *totals) int64 { return t.tally.exports })},
	{"points", "Points that are counted and durable.", one(func(t *totals) int64 { return t.tally.points })},
	{"duplicate_exports", "Exports that came again: acknowledged and not counted.", one(func(t *totals) int64 { return t.tally.duplicates })},
	{"missing_exports", "Exports that senders numbered and that never came.", one(func(t *totals) int64 { return t.tally.missing })},
	{"sequence_jumps", "Exports whose number is further ahead than any loss explains.", one(func(t *totals) int64 { return t.tally.jumps })},
	{"conflicts", "Exports with the number of another one: two senders use one name.", one(func(t *totals) int64 { return t.tally.conflicts })},
	{"rebucketed_points", "Points counted in a larger bucket than theirs: more bounds than max_buckets.", one(func(t *totals) int64 { return t.tally.rebucketed })},
	{"failed_commits", "Commits that failed; their exports were refused and come again.", one(func(t *totals) int64 { return t.tally.failed })},
	{"pushed_out_senders", "Senders that were forgotten for want of room, before they were silent for max_age.", one(func(t *totals) int64 { return t.tally.pushedOut })},
	{"folded_points", "Points beyond their metric's budget of series, counted in its series `other`.", readFolded},
	{"dropped_points", "Points that cannot be counted, by reason.", readDropped},
}

var gauges = []observation{
	{"series", "Series by metric; metrics that are not known together.", readAccounts(func(a *budget.Account) int { return a.Used })},
	{"series_budget", "Series that a metric may have.", readAccounts(func(a *budget.Account) int { return a.Limit })},
	{"max_series", "Series that all metrics may have together.", one(func(t *totals) int64 { return int64(t.config.Budget.MaxSeries) })},
	{"unknown_names", "Metrics that are not known.", one(func(t *totals) int64 { used, _ := t.budget.Names(); return int64(used) })},
	{"unknown_names_budget", "Metrics that are not known that there may be.", one(func(t *totals) int64 { _, limit := t.budget.Names(); return int64(limit) })},
	{"senders", "Senders that are remembered.", one(func(t *totals) int64 { return int64(len(t.senders.entries)) })},
	{"exemplars", "Exemplars that are kept.", one(func(t *totals) int64 { return int64(t.linked.kept) })},
	{"streams", "Cumulative streams that are remembered.", one(func(t *totals) int64 { return int64(len(t.streams.entries)) })},
}

var seconds = []struct {
	name, help string
	read       func(*totals) float64
}{
	{
		"store_birth_seconds", "When the store was begun, in unix seconds: what was counted before is not in the totals.",
		func(t *totals) float64 { return float64(t.ledger.Identity().Birth) / 1e9 },
	},
	{
		"sender_memory_seconds", "Silence after which a sender may be forgotten: max_age, or the shortest since the start for want of room.",
		func(t *totals) float64 { return t.senderMemory().Seconds() },
	},
	{
		"restore_seconds", "Seconds from the start until all totals were handed on.",
		func(t *totals) float64 { return t.store.restoreSeconds },
	},
}

// senderMemory is how long a sender may be silent without being forgotten, as far as is known.
func (t *totals) senderMemory() time.Duration {
	if t.tally.silence == 0 {
		return t.config.MaxAge
	}
	return min(time.Duration(t.tally.silence), t.config.MaxAge)
}

func one(value func(*totals) int64) func(*totals, func(int64, ...attribute.KeyValue)) {
	return func(t *totals, observe func(int64, ...attribute.KeyValue)) { observe(value(t)) }
}

func readDropped(t *totals, observe func(int64, ...attribute.KeyValue)) {
	for i, n := range t.tally.dropped {
		observe(n, attribute.String("reason", reasonNames[i]))
	}
}

// readFolded: metrics are as many as their names' budget lets there be.
func readFolded(t *totals, observe func(int64, ...attribute.KeyValue)) {
	for name := range t.metrics {
		observe(t.tally.folded[name], attribute.String("metric", name))
	}
}

func readAccounts(value func(*budget.Account) int) func(*totals, func(int64, ...attribute.KeyValue)) {
	return func(t *totals, observe func(int64, ...attribute.KeyValue)) {
		for _, a := range t.budget.Accounts() {
			observe(int64(value(a)), attribute.String("metric", a.Metric))
		}
	}
}

func newInstruments(settings component.TelemetrySettings, t *totals) (*instruments, error) {
	meter := settings.MeterProvider.Meter("github.com/fleet-telemetry/collector/fleettotals")
	o := &instruments{}
	var problems [3]error
	o.commitSeconds, problems[0] = meter.Float64Histogram("fleet_totals_commit_seconds",
		otel.WithDescription("Seconds until a group of exports is durable."),
		otel.WithExplicitBucketBoundaries(.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5))
	o.commitExports, problems[1] = meter.Int64Histogram("fleet_totals_commit_exports",
		otel.WithDescription("Exports that one commit makes durable."), otel.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64))
	problems[2] = o.observe(meter, t)
	return o, errors.Join(problems[:]...)
}

func (o *instruments) observe(meter otel.Meter, t *totals) error {
	var problems []error
	under := func(read func(*totals, func(int64, ...attribute.KeyValue))) otel.Int64Callback {
		return func(_ context.Context, observer otel.Int64Observer) error {
			t.mu.Lock()
			defer t.mu.Unlock()
			read(t, func(n int64, labels ...attribute.KeyValue) { observer.Observe(n, otel.WithAttributes(labels...)) })
			return nil
		}
	}
	for _, c := range counters {
		_, err := meter.Int64ObservableCounter("fleet_totals_"+c.name+"_total", otel.WithDescription(c.help), otel.WithInt64Callback(under(c.read)))
		problems = append(problems, err)
	}
	for _, g := range gauges {
		_, err := meter.Int64ObservableGauge("fleet_totals_"+g.name, otel.WithDescription(g.help), otel.WithInt64Callback(under(g.read)))
		problems = append(problems, err)
	}
	_, err := meter.Int64ObservableGauge("fleet_totals_stores_set_aside",
		otel.WithDescription("Files beside the store that tell of a damaged or lost one, until somebody removes them."),
		otel.WithInt64Callback(func(_ context.Context, observer otel.Int64Observer) error {
			observer.Observe(t.store.aside()) // without the lock: it asks the disk
			return nil
		}))
	problems = append(problems, err)
	for _, s := range seconds {
		_, err := meter.Float64ObservableGauge("fleet_totals_"+s.name, otel.WithDescription(s.help),
			otel.WithFloat64Callback(func(_ context.Context, observer otel.Float64Observer) error {
				t.mu.Lock()
				defer t.mu.Unlock()
				observer.Observe(s.read(t))
				return nil
			}))
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (o *instruments) committed(took time.Duration, exports int64) {
	ctx := context.Background()
	o.commitSeconds.Record(ctx, took.Seconds())
	o.commitExports.Record(ctx, exports)
}
