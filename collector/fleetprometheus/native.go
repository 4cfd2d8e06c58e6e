package fleetprometheus

import (
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	// What a page can show of an exponential histogram.
	minSchema, maxSchema = -4, 8
	maxNativeBuckets     = 20_000
)

// native is an exponential histogram as protobuf has it: a native histogram of Prometheus. Other formats have none.
type native struct {
	schema    int32
	threshold float64
	zeros     uint64
	count     uint64 // of all
	spans     []*dto.BucketSpan
	deltas    []int64
}

// nativeOf is false for what no page can show: negative values, which totals do not have, and scales beyond Prometheus' own.
func nativeOf(dp pmetric.ExponentialHistogramDataPoint) (*native, bool) {
	counts := dp.Positive().BucketCounts()
	if dp.Negative().BucketCounts().Len() > 0 || dp.Scale() < minSchema || dp.Scale() > maxSchema || counts.Len() > maxNativeBuckets {
		return nil, false
	}
	n := &native{schema: dp.Scale(), threshold: dp.ZeroThreshold(), zeros: dp.ZeroCount(), count: dp.ZeroCount()}
	n.fill(int32(dp.Positive().Offset())+1, counts.AsRaw())
	return n, true
}

// fill makes spans of the buckets that count anything; the first of all ends at this index.
func (n *native) fill(index int32, counts []uint64) {
	before, end := int64(0), int32(0) // where the last span ended
	for i, count := range counts {
		if count == 0 {
			continue
		}
		at := index + int32(i)
		if last := len(n.spans) - 1; last >= 0 && at == end {
			*n.spans[last].Length++
		} else {
			offset, length := at-end, uint32(1)
			n.spans = append(n.spans, &dto.BucketSpan{Offset: &offset, Length: &length})
		}
		n.deltas = append(n.deltas, int64(count)-before)
		before, end = int64(count), at+1
		n.count += count
	}
}

// put adds it to a histogram; none takes away what was there in the space that is used again. One that counts nothing has a span without
// buckets, by which it is known for a native one.
func (n *native) put(h *dto.Histogram) {
	h.Schema, h.ZeroThreshold, h.ZeroCount, h.PositiveSpan, h.PositiveDelta = nil, nil, nil, nil, nil
	if n == nil {
		return
	}
	h.Schema, h.ZeroThreshold, h.ZeroCount, h.PositiveSpan, h.PositiveDelta = &n.schema, &n.threshold, &n.zeros, n.spans, n.deltas
	if len(n.spans) == 0 {
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32), Length: new(uint32)}}
	}
}

// count is that of all values.
func (h *buckets) count() (sum uint64) {
	for _, n := range h.counts {
		sum += n
	}
	return sum
}
