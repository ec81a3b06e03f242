// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
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

func (f *format) validate() error {
	if !slices.Contains(f.allowed, f.value) {
		return usageError{fmt.Errorf("--output %q: choose one of %s",
			f.value, strings.TrimPrefix(strings.Join(f.allowed, ", "), ", "))}
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

// line writes one line to standard output.
func (a *app) line(text string) error {
	if _, err := fmt.Fprintln(a.out, text); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// say writes one line to standard error, on which no bar stands. It is safe for concurrent use.
func (a *app) say(format string, values ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown.clear()
	fmt.Fprintf(a.errOut, format+"\n", values...)
}

// notify says what happens on the way, unless quiet.
func (a *app) notify(quiet bool) func(string) {
	return func(line string) {
		if !quiet {
			a.say("%s", line)
		}
	}
}

// table prints in kubectl's way, with control characters made harmless.
func (a *app) table(t *metav1.Table, options printers.PrintOptions) error {
	if err := printers.NewTablePrinter(options).PrintObj(t, a.out); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// columns makes the head of a table; those in wide are for -o wide.
func columns(names []string, wide ...string) []metav1.TableColumnDefinition {
	var all []metav1.TableColumnDefinition
	for _, name := range names {
		all = append(all, metav1.TableColumnDefinition{Name: name, Type: "string"})
	}
	for _, name := range wide {
		all = append(all, metav1.TableColumnDefinition{Name: name, Type: "string", Priority: 1})
	}
	return all
}

// none is what kubectl shows for nothing.
const none = "<none>"

func orNone(text string) string {
	if text == "" {
		return none
	}
	return text
}

// count is a number and its noun, for people.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// size prints bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for ; value >= unit && prefix < 4; prefix++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}
