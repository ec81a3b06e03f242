// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/pack"
)

// unsent is what "push --dry-run" prints for programs.
type unsent struct {
	Tag    string   `json:"tag"`
	Also   []string `json:"additionalTags,omitempty"`
	Digest string   `json:"digest"`
	// Size is what would be uploaded at most: the packed layer.
	Size        int64             `json:"size"`
	Files       int               `json:"files"`
	Bytes       int64             `json:"bytes"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Content     []pack.File       `json:"content"`
}

// list packs the source and prints what is in it.
func (o *pushOptions) list(ctx context.Context, tag string) error {
	img, err := o.source.pack(ctx)
	if err != nil {
		return err
	}
	defer img.Close()
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	result := unsent{
		Tag: tag, Also: o.also(tag), Digest: digest.String(), Size: img.PackedSize(), Files: img.Files, Bytes: img.Bytes,
		Annotations: o.source.annotations,
	}
	if err := img.List(func(f pack.File) error {
		result.Content = append(result.Content, f)
		return ctx.Err()
	}); err != nil {
		return err
	}
	if o.output.value != "name" {
		return o.output.print(o.app, result)
	}
	if err := o.table(contentTable(result.Content), printers.PrintOptions{}); err != nil {
		return err
	}
	if !o.source.quiet {
		o.sayNotice(img)
		o.say("Packed %s, %s: %s to upload at most, as %s@%s.\nNothing was sent.",
			count(img.Files, "file"), size(img.Bytes), size(result.Size), tag, result.Digest)
	}
	return nil
}

func contentTable(files []pack.File) *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: columns([]string{"File", "Size", "Mode"})}
	for _, f := range files {
		mode := "-"
		if f.Executable {
			mode = "executable"
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{f.Path, size(f.Size), mode}})
	}
	return t
}
