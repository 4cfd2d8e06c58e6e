package fleettotals

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

// Every setting is read.
func TestSettingsAreRead(t *testing.T) {
	c := defaultConfig().(*Config)
	settings := map[string]any{
		"storage": "file_storage", "directory": "/x", "max_buckets": 7, "max_labels": 8, "max_label_bytes": 9, "max_senders": 10,
		"max_streams": 11, "max_age": "1h", "emit_interval": "1s",
		"resource_labels": []any{map[string]any{"label": "zone", "attributes": []any{"z"}, "default": "none"}},
		"known_metrics":   map[string]any{"c_total": map[string]any{}, "h_seconds": map[string]any{"bounds": []any{1, 2.5}}},
		"other_metrics":   []any{"level"},
		"budget":          map[string]any{"max_series": 5_000, "reserved_series": 3, "series_by_metric": map[string]any{"c_total": 4}},
	}
	if err := confmap.NewFromStringMap(settings).Unmarshal(c); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Storage.String() != "file_storage" || c.Directory != "/x" || c.MaxBuckets != 7 || c.MaxLabels != 8 || c.MaxLabelBytes != 9 ||
		c.MaxSenders != 10 || c.MaxStreams != 11 || c.MaxAge != time.Hour || c.EmitInterval != time.Second ||
		c.ResourceLabels[0].Default != "none" || len(c.KnownMetrics["h_seconds"].Bounds) != 2 || c.Budget.SeriesByMetric["c_total"] != 4 ||
		c.Budget.SeriesPerMetric != 10_000 || len(c.OtherMetrics) != 1 {
		t.Errorf("%+v", c)
	}
}

// All mistakes are told at once, each with its setting and value.
func TestMistakesAreTold(t *testing.T) {
	c := defaultConfig().(*Config)
	c.MaxSenders, c.MaxBuckets = 0, 2
	c.ResourceLabels[0].Label = "a.b"
	c.KnownMetrics = map[string]KnownMetric{
		"a.b": {}, "x": {Bounds: []float64{2, 1}}, "many": {Bounds: []float64{1, 2, 3}}, "x_bucket": {}, "h": {Bounds: []float64{1}},
	}
	c.Budget.SeriesByMetric, c.OtherMetrics = map[string]int{"nobody": 1}, []string{"h"}
	err := c.Validate()
	for _, part := range []string{
		"storage: names no", "max_senders: 0", `resource_labels: "a.b"`, `known_metrics: "a.b"`, "bounds of x ", "bounds of many",
		"x_bucket shares a name", "other_metrics: h is", "series_by_metric: nobody",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not told in %v", part, err)
		}
	}
}
