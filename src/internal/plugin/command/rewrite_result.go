// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// rewritten is the result of "rewrite" for programs.
type rewritten struct {
	Midstream string            `json:"midstream"`
	Images    []rewrite.Finding `json:"images"`
	// Fields are where images are outside of containers.
	Fields   []rewrite.FieldFinding `json:"fields,omitempty"`
	Files    []writtenFile          `json:"files"`
	Warnings []string               `json:"warnings,omitempty"`
}

// writtenFile has its content only where it was not written.
type writtenFile struct {
	Path    string         `json:"path"`
	Action  rewrite.Action `json:"action"`
	Content string         `json:"content,omitempty"`
}

// print prints what was, or would be, done.
func (o *rewriteOptions) print(result *rewritten, files []rewrite.File, how rewrite.Applying) error {
	result.Midstream = shortPath(result.Midstream)
	result.Files = o.shown(files)
	if !o.quiet {
		for _, warning := range result.Warnings {
			o.say("Warning: %s.", warning)
		}
	}
	if o.output.value != "text" {
		return o.output.print(o.app, result)
	}
	if err := result.text(o.out); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if !o.quiet && !o.dryRun {
		o.say("%s", o.helm.apply(howToApply(result.Midstream, how)))
	}
	return nil
}

// shown are the files, with what is in those that are not written.
func (o *rewriteOptions) shown(files []rewrite.File) []writtenFile {
	var all []writtenFile
	for _, file := range files {
		if file.Content == nil && file.Action == rewrite.Keep {
			continue // was not there, and need not be
		}
		shown := writtenFile{Path: shortPath(file.Path), Action: file.Action}
		if o.dryRun && file.Action != rewrite.Keep {
			shown.Content = withoutLicense(file.Content)
		}
		all = append(all, shown)
	}
	return all
}

// text is the result for people: the images, the files, and what is in those that were not written.
func (r *rewritten) text(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, image := range r.Images {
		fmt.Fprintf(table, "%s\t%s\t%s\n", image.Verdict, image.Image, image.Reason)
	}
	for _, field := range r.Fields {
		fmt.Fprintf(table, "%s\t%s\t%s\n", field.Outcome, field.Image, field)
	}
	for _, file := range r.Files {
		fmt.Fprintf(table, "%s\t%s\n", file.Action, file.Path)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, file := range r.Files {
		if file.Content == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "---\n# %s\n%s", file.Path, file.Content); err != nil {
			return err
		}
	}
	return nil
}

// withoutLicense is a file as the terminal shows it.
func withoutLicense(content []byte) string {
	return regexp.MustCompile(`(?m)^(\s*\.dockerconfigjson:).*$`).ReplaceAllString(string(content), "$1 (the license)")
}

// howToApply is a line that kubectl takes. It refuses -n together with objects of other namespaces.
func howToApply(dir string, how rewrite.Applying) string {
	apply := "kubectl apply"
	if how.ServerSide {
		apply += " --server-side"
	}
	switch {
	case how.Namespace != "" && !how.Several:
		apply += " -n " + how.Namespace
	case how.Namespace != "" && how.Unnamed:
		apply = "kubectl config set-context --current --namespace " + how.Namespace + " && " + apply
	}
	text := "Apply it"
	switch len(how.Missing) {
	case 0:
	case 1:
		text += ", once the namespace " + how.Missing[0] + " is there"
	default:
		text += ", once the namespaces " + strings.Join(how.Missing, ", ") + " are there"
	}
	text += ": " + apply + " -k " + quoted(dir)
	if how.Twice {
		text += "\nIt defines kinds of its own. Where kubectl finds no matches for one, run the line once more."
	}
	return text
}

// shortPath is relative to the current directory where that is shorter to read.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	here, err = rewrite.ResolvePath(here)
	if err != nil {
		return path
	}
	relative, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(relative, filepath.Join("..", "..")) {
		return path
	}
	return relative
}
