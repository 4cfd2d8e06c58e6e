package labels

import (
	"strings"

	"github.com/prometheus/otlptranslator"
)

var (
	labelNamer  = otlptranslator.LabelNamer{UnderscoreLabelSanitization: true}
	metricNamer = otlptranslator.MetricNamer{}
)

// Name is the label name of an attribute as `UnderscoreEscapingWithoutSuffixes` makes it; empty if nothing of it is left.
func Name(attribute string) string {
	if isPlain(attribute) {
		return attribute
	}
	name, err := labelNamer.Build(attribute)
	if err != nil {
		return ""
	}
	if strings.HasPrefix(name, "__") { // Prometheus keeps these for itself
		return "key_" + strings.Trim(name, "_")
	}
	return name
}

// MetricName is the name of a metric as `UnderscoreEscapingWithoutSuffixes` makes it; empty if nothing of it is left.
func MetricName(name string) string {
	if isPlain(name) {
		return name
	}
	escaped, err := metricNamer.Build(otlptranslator.Metric{Name: name})
	if err != nil {
		return ""
	}
	return escaped
}

// isPlain tells whether no escaping rule can touch the name.
func isPlain(name string) bool {
	if name == "" || !isLetter(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		c := name[i]
		if !isLetter(c) && (c < '0' || c > '9') && (c != '_' || name[i-1] == '_') {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
