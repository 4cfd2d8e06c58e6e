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
	// Default is the value for a sender that has none.
	Default string `mapstructure:"default"`
}

// Environment is the label of the deployment environment, by the attribute's present and its former name.
func Environment() FromResource {
	return FromResource{Label: "environment", Attributes: []string{"deployment.environment.name", "deployment.environment"}, Default: "dev"}
}

// Check tells what is wrong with the label's name.
func (f FromResource) Check() error {
	if Name(f.Label) != f.Label || f.Label == "" {
		return fmt.Errorf("resource_labels: %q is not a label name: use letters, digits and underscores", f.Label)
	}
	return nil
}

// Of is the label of a resource.
func (f FromResource) Of(resource pcommon.Map) Label {
	for _, key := range f.Attributes {
		if v, ok := resource.Get(key); ok {
			return Label{f.Label, Text(v)}
		}
	}
	return Label{f.Label, f.Default}
}
