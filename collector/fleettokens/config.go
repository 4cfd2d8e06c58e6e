package fleettokens

import (
	"errors"

	"go.opentelemetry.io/collector/component"
)

// Config is the settings of the extension.
type Config struct {
	// File has the tokens: on each line one, and the environments that its senders may write, or `*` for all.
	File string `mapstructure:"file"`
}

func defaultConfig() component.Config { return &Config{} }

// Validate names what is wrong.
func (c *Config) Validate() error {
	if c.File == "" {
		return errors.New("file: is empty: set it to a file of tokens, with lines such as `TOKEN prod`")
	}
	return nil
}
