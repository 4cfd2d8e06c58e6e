// Package handover is the word by which a processor tells an exporter that everything it had kept has been handed on.
package handover

import "go.opentelemetry.io/collector/pdata/pmetric"

// attribute is on a resource without metrics: an exporter that does not know the word shows nothing of it.
const attribute = "fleet_totals.restored"

// Complete says that all kept series were handed on before.
func Complete() pmetric.Metrics {
	md := pmetric.NewMetrics()
	md.ResourceMetrics().AppendEmpty().Resource().Attributes().PutBool(attribute, true)
	return md
}

// IsComplete tells whether a resource says so.
func IsComplete(rm pmetric.ResourceMetrics) bool {
	v, ok := rm.Resource().Attributes().Get(attribute)
	return ok && v.Bool()
}
