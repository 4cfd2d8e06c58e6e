package labels

import "go.opentelemetry.io/collector/pdata/pcommon"

// maxNesting bounds what of a value is written out. Each level of a request takes few bytes, and a stack's frame to write it: a small
// request could end the process.
const maxNesting = 16

// Text is the text of an attribute's value.
func Text(v pcommon.Value) string {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return v.Str()
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		if isDeeper(v, maxNesting) {
			return "(nested)"
		}
	}
	return v.AsString()
}

func isDeeper(v pcommon.Value, levels int) bool {
	if levels == 0 {
		return true
	}
	switch v.Type() {
	case pcommon.ValueTypeMap:
		for _, inner := range v.Map().All() {
			if isDeeper(inner, levels-1) {
				return true
			}
		}
	case pcommon.ValueTypeSlice:
		for _, inner := range v.Slice().All() {
			if isDeeper(inner, levels-1) {
				return true
			}
		}
	}
	return false
}
