package fleettotals

import (
	"fmt"
	"testing"
)

// take judges exports one after the other: number, content. What is told of each is `+` for counted and `=` for a duplicate, with `!`
// for a conflict, the missing ones and `^` for a jump.
func take(exports ...[2]int64) (string, runs) {
	var known runs
	told := ""
	for _, e := range exports {
		v := known.judge(e[0], uint64(e[1]))
		known = v.after
		told += map[bool]string{true: "=", false: "+"}[v.duplicate]
		if v.conflict {
			told += "!"
		}
		if v.missing > 0 {
			told += fmt.Sprint(v.missing)
		}
		if v.jump {
			told += "^"
		}
	}
	return told, known
}

// An export counts once, whatever comes again and in which order; gaps, strangers and leaps are told.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		exports [][2]int64
		told    string
	}{
		"one after the other":                   {[][2]int64{{1, 7}, {2, 8}, {3, 9}}, "+++"},
		"repeated":                              {[][2]int64{{1, 7}, {1, 7}, {2, 8}, {2, 8}, {2, 8}}, "+=+=="},
		"late repetition":                       {[][2]int64{{1, 7}, {2, 8}, {3, 9}, {1, 7}, {2, 8}}, "+++=="},
		"begins later":                          {[][2]int64{{17, 7}, {18, 8}}, "++"},
		"a gap":                                 {[][2]int64{{1, 7}, {5, 8}, {6, 9}, {9, 1}}, "++3++2"},
		"a gap that fills":                      {[][2]int64{{1, 7}, {3, 9}, {2, 8}, {3, 9}, {2, 8}, {4, 1}}, "++1+==+"},
		"far ahead":                             {[][2]int64{{1, 7}, {1 << 62, 8}, {2, 9}, {3, 1}, {1 << 62, 8}}, "++^++="},
		"the same number, something else":       {[][2]int64{{1, 7}, {2, 8}, {2, 9}, {2, 8}, {2, 9}}, "+++!=="},
		"two senders of one name, both repeat":  {[][2]int64{{1, 7}, {1, 8}, {2, 1}, {2, 2}, {2, 1}, {2, 2}, {3, 5}, {3, 6}, {3, 6}, {3, 5}}, "++!++==++=="},
		"a fork goes on with its parent's name": {[][2]int64{{1, 7}, {2, 8}, {3, 1}, {3, 2}, {4, 1}, {5, 1}, {4, 3}, {5, 3}}, "+++" + "+!" + "++" + "++"},
		"before the first":                      {[][2]int64{{5, 7}, {4, 8}, {4, 8}, {6, 9}, {5, 7}}, "++=+="},
	} {
		if told, _ := take(c.exports...); told != c.told {
			t.Errorf("%s: %s, not %s", name, told, c.told)
		}
	}
}

// Of few runs the one that goes on stays, however many stray numbers come.
func TestStrayNumbersDoNotPushOutTheRun(t *testing.T) {
	exports := [][2]int64{{1, 1}, {2, 2}, {3, 3}}
	for i := range int64(50) {
		exports = append(exports, [2]int64{1_000 + 10*i, 1})
	}
	_, known := take(append(exports, [2]int64{4, 4})...)
	if len(known) > maxRuns || known[0] != (run{1, 4, 4}) {
		t.Error(known)
	}
}

// Neighbouring runs become one: what is known of a well-behaved sender stays small.
func TestRunsThatTouchAreOne(t *testing.T) {
	_, known := take([2]int64{1, 1}, [2]int64{4, 4}, [2]int64{2, 2}, [2]int64{3, 3})
	if len(known) != 1 || known[0] != (run{1, 4, 4}) {
		t.Error(known)
	}
}
