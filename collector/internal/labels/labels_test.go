package labels

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

func encode(t testing.TB, attributes map[string]any, extra []Label, reserved string) (Set, bool) {
	t.Helper()
	m := pcommon.NewMap()
	if err := m.FromRaw(attributes); err != nil {
		t.Fatal(err)
	}
	e := Encoder{MaxBytes: 200, MaxLabels: 5}
	b, ok := e.Append([]byte("before"), m, extra, reserved)
	if !strings.HasPrefix(string(b), "before") || !ok && string(b) != "before" {
		t.Fatal("what was there before is not as it was")
	}
	return Set(b[len("before"):]), ok
}

func text(s Set) string {
	var parts []string
	for name, value := range s.All() {
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, ",")
}

// One label set has one encoding: names are escaped and in order, empty values are no labels, names that become one are joined.
func TestOneEncoding(t *testing.T) {
	environment := []Label{{"environment", "prod"}}
	for _, c := range []struct {
		attributes map[string]any
		want       string
	}{
		{map[string]any{"b": "2", "a": "1"}, "a=1,b=2,environment=prod"},
		{map[string]any{"http.method": "GET", "n": int64(3), "on": true}, "environment=prod,http_method=GET,n=3,on=true"},
		{map[string]any{"a.b": "1", "a_b": "2"}, "a_b=1;2,environment=prod"},
		{map[string]any{"empty": "", "": "x"}, "environment=prod"},
		{map[string]any{"environment": "mine"}, "environment=prod"},
		{map[string]any{"1st": "x", "_private": "y", "__name__": "z", "a__b": "w"}, "a_b=w,environment=prod,key_1st=x,key_name=z,key_private=y"},
		{map[string]any{"le": "1"}, "environment=prod,key_le=1"},
	} {
		set, ok := encode(t, c.attributes, environment, "le")
		if got := text(set); got != c.want || !ok || !set.Valid() {
			t.Errorf("%v: %s, not %s", c.attributes, got, c.want)
		}
	}
}

// A set beyond its bounds is refused.
func TestBounds(t *testing.T) {
	many := map[string]any{}
	for n := range 6 {
		many[fmt.Sprint("l", n)] = "v"
	}
	for name, attributes := range map[string]map[string]any{
		"many": many, "long": {"a": strings.Repeat("x", 201)}, "long name": {strings.Repeat("x", 201): "1"},
	} {
		if set, ok := encode(t, attributes, nil, ""); ok {
			t.Errorf("%s: taken as %q", name, text(set))
		}
	}
}

// A value that is nested without end is a word, and writing it takes no stack.
func TestNestedValues(t *testing.T) {
	v := pcommon.NewValueSlice()
	deepest := v
	for range 1_000_000 {
		deepest = deepest.Slice().AppendEmpty()
		deepest.SetEmptySlice()
	}
	if got := Text(v); got != "(nested)" {
		t.Error(got)
	}
	few := pcommon.NewValueMap()
	few.Map().PutEmptySlice("k").AppendEmpty().SetInt(1)
	if got := Text(few); got != `{"k":[1]}` {
		t.Error(got)
	}
}

// What is no encoding of a set, or not UTF-8, is not valid.
func TestInvalidSets(t *testing.T) {
	for _, s := range []Set{"\x01a", "\x01a\x05b", "\x01b\x011\x01a\x011", "\x01a\x011\x01a\x012", "\x01a\x01\xff", "\x01a\x00", "\x81\x00a\x011"} {
		if s.Valid() {
			t.Errorf("%q is valid", s)
		}
	}
}

// Names become what the collector's own exporter makes of them.
func TestMetricNames(t *testing.T) {
	for name, want := range map[string]string{
		"http_requests_total": "http_requests_total", "http.server.duration": "http_server_duration", "a:b": "a:b", "1st": "_1st",
		"a--b": "a_b", "": "", "é": "", "a\xffb": "a_b",
	} {
		if got := MetricName(name); got != want {
			t.Errorf("%q becomes %q, not %q", name, got, want)
		}
	}
}

// Whatever bytes stand in a set, reading it ends.
func FuzzSet(f *testing.F) {
	f.Add("\x01a\x011")
	f.Fuzz(func(t *testing.T, s string) {
		var read []Label
		for name, value := range Set(s).All() {
			read = append(read, Label{name, value})
		}
		if Set(s).Valid() && Encode(read) != Set(s) {
			t.Errorf("%q is read as %v", s, read)
		}
	})
}
