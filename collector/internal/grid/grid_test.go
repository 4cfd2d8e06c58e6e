package grid

import (
	"math"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

func exponential(scale, offset int32, zeros uint64, counts ...uint64) pmetric.ExponentialHistogramDataPoint {
	dp := pmetric.NewExponentialHistogramDataPoint()
	dp.SetScale(scale)
	dp.SetZeroCount(zeros)
	dp.Positive().SetOffset(offset)
	dp.Positive().BucketCounts().FromRaw(counts)
	return dp
}

// An edge is found again by its value, and every value lies below the edge that is found for it, by less than one bucket.
func TestPlaces(t *testing.T) {
	for place := least; place <= most; place++ {
		if Place(Edge(place)) != place || !IsEdge(Edge(place)) || IsEdge(math.Nextafter(Edge(place), 0)) {
			t.Fatal(place, Edge(place))
		}
	}
	for _, value := range []float64{0.1, 0.3, 1, 2.5, 30, 1e9} {
		if place := Place(value); Edge(place) < value || Edge(place-1) >= value {
			t.Error(value, Edge(place-1), Edge(place))
		}
	}
}

// What is laid out and put together again is what it was, at the scale of the grid; smaller and larger scales keep each count within
// the bucket that it was in.
func TestLayAndPut(t *testing.T) {
	for _, c := range []struct {
		in, out pmetric.ExponentialHistogramDataPoint
	}{
		{exponential(3, -8, 2, 1, 0, 0, 5), exponential(3, -8, 2, 1, 0, 0, 5)},
		{exponential(3, 0, 0), exponential(3, 0, 0)},
		{exponential(5, 4, 0, 1, 2, 3), exponential(3, 1, 0, 6)},
		{exponential(5, -5, 0, 1, 2), exponential(3, -2, 0, 1, 2)},
		{exponential(20, -1, 0, 1), exponential(3, -1, 0, 1)},
		{exponential(0, 1, 0, 4), exponential(3, 15, 0, 4)},
		{exponential(3, -60*8-4, 1, 1, 1, 1, 1, 1, 1), exponential(3, -60*8, 5, 1, 1)},
	} {
		bounds, counts := Lay(nil, nil, c.in)
		got := pmetric.NewExponentialHistogramDataPoint()
		Put(got, bounds, counts)
		want := c.out
		if got.ZeroCount() != want.ZeroCount() || !slices.Equal(got.Positive().BucketCounts().AsRaw(), want.Positive().BucketCounts().AsRaw()) ||
			want.Positive().BucketCounts().Len() > 0 && got.Positive().Offset() != want.Positive().Offset() || !Is(bounds) {
			t.Errorf("%v %v: %v %v", c.in.Positive(), bounds, got.Positive().Offset(), got.Positive().BucketCounts().AsRaw())
		}
	}
}

// What is laid behind others' bounds and counts leaves them alone.
func TestLayBehindOthers(t *testing.T) {
	bounds, counts := Lay([]float64{9, 99}, []uint64{7}, exponential(3, -1000, 1, 4))
	if !slices.Equal(bounds, []float64{9, 99, Zero}) || !slices.Equal(counts, []uint64{7, 5, 0}) {
		t.Error(bounds, counts)
	}
}

// Counts by any bounds go to the bucket of the grid that they end in; those at or below Zero are zeros, those above all bounds just above.
func TestPutOfOtherBounds(t *testing.T) {
	got := pmetric.NewExponentialHistogramDataPoint()
	Put(got, []float64{0, Zero, 1, 2.5}, []uint64{1, 2, 3, 4, 5})
	raw := got.Positive().BucketCounts().AsRaw()
	if got.ZeroCount() != 3 || got.Positive().Offset() != -1 || raw[0] != 3 || raw[11] != 4 || raw[12] != 5 || len(raw) != 13 {
		t.Error(got.ZeroCount(), got.Positive().Offset(), raw)
	}
}

// Whatever a sender says, every count is somewhere, and bounds ascend and are finite.
func FuzzLay(f *testing.F) {
	f.Add(int32(3), int32(-8), uint64(1), uint64(2), uint64(3))
	f.Add(int32(-100), int32(math.MaxInt32), uint64(1), uint64(2), uint64(3))
	f.Add(int32(100), int32(math.MinInt32), uint64(1), uint64(2), uint64(3))
	f.Fuzz(func(t *testing.T, scale, offset int32, zeros, a, b uint64) {
		zeros, a, b = zeros>>8, a>>8, b>>8
		bounds, counts := Lay(nil, nil, exponential(scale, offset, zeros, a, 0, b))
		sum := uint64(0)
		for _, n := range counts {
			sum += n
		}
		if sum != zeros+a+b || len(counts) != len(bounds)+1 {
			t.Fatal(sum, bounds, counts)
		}
		for i, bound := range bounds {
			if math.IsInf(bound, 0) || i > 0 && bound <= bounds[i-1] {
				t.Fatal(bounds)
			}
		}
		Put(pmetric.NewExponentialHistogramDataPoint(), bounds, counts)
	})
}
