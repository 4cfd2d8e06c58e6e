// Package exemplars keeps the newest exemplar of each bucket of a histogram: a value and the span in which it was recorded. Nothing else
// of an exemplar is kept: its attributes are the sender's, and may be anything.
package exemplars

import (
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// MaxOfPoint bounds what is read of one point.
const MaxOfPoint = 64

// Exemplar is a value that was recorded while a span was current.
type Exemplar struct {
	Value float64
	At    int64 // unix nanoseconds
	Trace pcommon.TraceID
	Span  pcommon.SpanID
}

// Append appends what leads somewhere: an exemplar without a trace does not. One of a clock that runs ahead is of now, so that it keeps
// nobody's next one out.
func Append(dst []Exemplar, slice pmetric.ExemplarSlice, now int64) []Exemplar {
	for i := range min(slice.Len(), MaxOfPoint) {
		e := slice.At(i)
		value := e.DoubleValue()
		if e.ValueType() == pmetric.ExemplarValueTypeInt {
			value = float64(e.IntValue())
		}
		if e.TraceID().IsEmpty() || math.IsNaN(value) || math.IsInf(value, 0) {
			continue
		}
		dst = append(dst, Exemplar{value, min(int64(e.Timestamp()), now), e.TraceID(), e.SpanID()})
	}
	return dst
}

// Set is the newest exemplar of each bucket that has one, in no order.
type Set []Exemplar

// Keep adds an exemplar to those of a histogram with these bounds, or replaces the one of its bucket if that is older.
func (s Set) Keep(e Exemplar, bounds []float64) Set {
	bucket := Bucket(e.Value, bounds)
	for i := range s {
		if Bucket(s[i].Value, bounds) == bucket {
			if s[i].At <= e.At {
				s[i] = e
			}
			return s
		}
	}
	return append(s, e)
}

// Put writes the set to a point.
func (s Set) Put(to pmetric.ExemplarSlice) {
	to.EnsureCapacity(len(s))
	for _, e := range s {
		written := to.AppendEmpty()
		written.SetDoubleValue(e.Value)
		written.SetTimestamp(pcommon.Timestamp(e.At))
		written.SetTraceID(e.Trace)
		written.SetSpanID(e.Span)
	}
}

// Bucket is the place of the bucket that a value is counted in.
func Bucket(value float64, bounds []float64) int {
	at, _ := slices.BinarySearch(bounds, value)
	return at
}
