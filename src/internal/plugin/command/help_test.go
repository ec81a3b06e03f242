// SPDX-License-Identifier: Apache-2.0

package command

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestHelpIsPlain: a sentence has at most 25 words, a line at most 110 columns, and every command an example.
func TestHelpIsPlain(t *testing.T) {
	const maxWords, maxColumns = 25, 110
	ends := regexp.MustCompile(`[.:;](\s|$)|\n\n`)
	check := func(where, text string) {
		t.Helper()
		for sentence := range strings.SplitSeq(ends.ReplaceAllString(text, "\x00"), "\x00") {
			if words := strings.Fields(sentence); len(words) > maxWords {
				t.Errorf("%s: %d words: %s", where, len(words), strings.Join(words, " "))
			}
		}
		for line := range strings.SplitSeq(text, "\n") {
			if len(line) > maxColumns {
				t.Errorf("%s: %d columns: %s", where, len(line), line)
			}
		}
	}
	a := newApp(strings.NewReader(""), nil, nil, nil)
	kubectl := pflag.NewFlagSet("", pflag.ContinueOnError) // its flags have its words
	a.kube.AddFlags(kubectl)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		check(cmd.CommandPath(), cmd.Short)
		check(cmd.CommandPath(), cmd.Long)
		if !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if kubectl.Lookup(f.Name) == nil {
				check(cmd.CommandPath()+" --"+f.Name, f.Usage)
			}
		})
		for _, below := range cmd.Commands() {
			if below.Name() != "help" && below.Name() != "completion" {
				walk(below)
			}
		}
	}
	walk(newRoot(a))
}
