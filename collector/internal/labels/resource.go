package labels

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// FromResource makes a label of a resource attribute.
type FromResource struct {
	// Label is the label's name.
	Label string `mapstructure:"label"`
	// Attributes are looked for in this order; the first one that a sender has is taken.
	Attributes []string `mapstructure:"attributes"`
	// Default is the value for a sender that has none. Without a default, the series of such a sender have no such label.
	Default string `mapstructure:"default"`
}

// Standard is the labels that series get of their sender's resource: `environment`, by the attribute's present and its former name, on
// all of them, and `service_namespace` on those of senders that have one.
func Standard() []FromResource {
	return []FromResource{
		{Label: "environment", Attributes: []string{"deployment.environment.name", "deployment.environment"}, Default: "dev"},
		{Label: "service_namespace", Attributes: []string{"service.namespace"}},
	}
}

// Check tells what is wrong with the label's name.
func (f FromResource) Check() error {
	if Name(f.Label) != f.Label || f.Label == "" {
		return fmt.Errorf("resource_labels: %q is not a label name: use letters, digits and underscores", f.Label)
	}
	return nil
}

// AppendResource appends the labels of a resource to dst: not those that have neither a value nor a default.
func AppendResource(dst []Label, from []FromResource, resource pcommon.Map) []Label {
	for _, label := range from {
		if value := label.valueOf(resource); value != "" || label.Default != "" {
			dst = append(dst, Label{label.Label, value})
		}
	}
	return dst
}

func (f FromResource) valueOf(resource pcommon.Map) string {
	for _, key := range f.Attributes {
		if v, ok := resource.Get(key); ok {
			return Text(v)
		}
	}
	return f.Default
}
