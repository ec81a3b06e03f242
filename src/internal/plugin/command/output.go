// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// format is the -o flag of a command.
type format struct {
	allowed []string
	value   string
}

// addTo defines -o with the given formats; the first is the default when it is not empty.
func (f *format) addTo(cmd *cobra.Command, allowed ...string) {
	f.allowed = allowed
	names := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	cmd.Flags().StringVarP(&f.value, "output", "o", allowed[0], "output format: "+strings.Join(names, ", "))
	registerCompletion(cmd, "output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

func (f *format) check() error {
	if !slices.Contains(f.allowed, f.value) {
		return usageError{fmt.Errorf("--output %q: choose one of %s", f.value, strings.TrimPrefix(strings.Join(f.allowed, ", "), ", "))}
	}
	return nil
}

// print writes value as JSON or YAML; any other format is the caller's.
func (f *format) print(a *app, value any) error {
	encode := yaml.Marshal
	if f.value == "json" {
		encode = func(v any) ([]byte, error) {
			raw, err := json.MarshalIndent(v, "", "  ")
			return append(raw, '\n'), err
		}
	}
	raw, err := encode(value)
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if _, err := a.out.Write(raw); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
