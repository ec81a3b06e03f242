// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// prepare keeps dates out, and what the text of help has of Markdown's own signs.
func prepare(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	plain(root)
}

// plain escapes the signs, in all but examples and indented lines, which are shown as they are.
func plain(cmd *cobra.Command) {
	signs := strings.NewReplacer("<", `\<`, "_", `\_`, "*", `\*`)
	var text strings.Builder
	for line := range strings.Lines(cmd.Long) {
		if !strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "\t") {
			line = signs.Replace(line)
		}
		text.WriteString(line)
	}
	cmd.Long, cmd.Short = text.String(), signs.Replace(cmd.Short)
	for _, below := range cmd.Commands() {
		plain(below)
	}
}

// commandsPage is one page with all commands of a program.
func commandsPage(root *cobra.Command) (string, error) {
	prepare(root)
	var page strings.Builder
	fmt.Fprintf(&page, "# Commands of %s\n%s", root.DisplayName(), note("the commands themselves"))
	if root.HasAvailablePersistentFlags() {
		fmt.Fprintf(&page, "The options of `%s` are options of every command.\n", root.DisplayName())
	}
	if err := addCommand(&page, root); err != nil {
		return "", err
	}
	return page.String(), nil
}

func addCommand(page *strings.Builder, cmd *cobra.Command) error {
	var text strings.Builder
	if err := doc.GenMarkdown(cmd, &text); err != nil {
		return fmt.Errorf("describe %s: %w", cmd.CommandPath(), err)
	}
	page.WriteString("\n" + trimmed(text.String()))
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() && below.Name() != "help" {
			if err := addCommand(page, below); err != nil {
				return err
			}
		}
	}
	return nil
}

// trimmed leaves out what the page has anyway: links to other commands, and the options of all of them.
func trimmed(section string) string {
	section, _, _ = strings.Cut(section, "### SEE ALSO")
	section, _, _ = strings.Cut(section, "### Options inherited")
	return regexp.MustCompile(`[ \t]+\n`).ReplaceAllString(strings.TrimSpace(section), "\n") + "\n"
}

// writeManuals writes a manual page for each command into dir. SOURCE_DATE_EPOCH is the date on them, so that
// the same commit has the same pages.
func writeManuals(dir string, roots []*cobra.Command) error {
	if os.Getenv("SOURCE_DATE_EPOCH") == "" {
		return fmt.Errorf("SOURCE_DATE_EPOCH is not set: pages of the same commit would differ")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, root := range roots {
		prepare(root)
		header := &doc.GenManHeader{Section: "1", Source: "Local Source Proxy", Manual: "Local Source Proxy"}
		if err := doc.GenManTree(root, header, dir); err != nil {
			return fmt.Errorf("manual of %s: %w", root.DisplayName(), err)
		}
	}
	return nil
}
