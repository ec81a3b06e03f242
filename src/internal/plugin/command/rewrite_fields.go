// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// rewriteFields are the flags for images outside of containers.
type rewriteFields struct {
	inText      bool
	image, keep []string
	options     rewrite.FieldOptions
}

func (f *rewriteFields) addTo(flags *pflag.FlagSet) {
	flags.BoolVar(&f.inText, "in-text", false, "also rename images inside of texts, such as YAML in a ConfigMap")
	flags.StringArrayVar(&f.image, "image-field", nil,
		"KIND:PATH of a field that is an image, or a repository, as in Kafka:spec.image (may be repeated)")
	flags.StringArrayVar(&f.keep, "keep-field", nil,
		"KIND:PATH of a field that stays as it is (may be repeated)")
}

func (f *rewriteFields) validate() (err error) {
	if f.options.Image, err = selectors("--image-field", f.image); err != nil {
		return err
	}
	f.options.Keep, err = selectors("--keep-field", f.keep)
	return err
}

func selectors(flag string, texts []string) ([]rewrite.FieldSelector, error) {
	var all []rewrite.FieldSelector
	for _, text := range texts {
		selector, err := rewrite.ParseFieldSelector(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s %q: %w", flag, text, err)}
		}
		all = append(all, selector)
	}
	return all, nil
}
