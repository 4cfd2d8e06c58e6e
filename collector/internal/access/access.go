// Package access is what an authenticated sender may do, as the extension that knows it says it to the processor that minds it.
package access

import "go.opentelemetry.io/collector/client"

// Attribute is its name among the attributes of an authenticated client.
const Attribute = "environments"

// All stands for every environment.
const All = "*"

// Data is what is known of a sender.
type Data struct {
	// Environments are those that it may write.
	Environments []string
}

var _ client.AuthData = Data{}

// GetAttribute gives the environments by their name.
func (d Data) GetAttribute(name string) any {
	if name == Attribute {
		return d.Environments
	}
	return nil
}

// GetAttributeNames names what it knows.
func (Data) GetAttributeNames() []string { return []string{Attribute} }
