// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// streamFlags are for manifests that are read and printed, instead of a base and a midstream.
type streamFlags struct {
	file string
	read *rewrite.Stream // nil: there is a base
}

func (f *streamFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "filename", "f", "",
		"file with the manifests, - for standard input: print them rewritten, and write nothing")
	markPath(cmd, "filename")
}

func (f *streamFlags) validate(o *rewriteOptions) error {
	switch {
	case f.file == "" && o.base == "":
		return usageError{errors.New("--base is missing")}
	case f.file == "":
		return nil
	case o.base != "" || o.midstream != "":
		return usageError{errors.New("-f reads one stream and prints it: leave out --base and --midstream")}
	case o.dryRun:
		return usageError{errors.New("-f writes no file: leave out --dry-run")}
	case o.output.value != "text":
		return usageError{errors.New("-f prints the manifests as YAML: leave out --output")}
	default:
		return nil
	}
}

// load reads the base, or the stream that stands for it, and looks for images in it.
func (o *rewriteOptions) load(ctx context.Context, stage *rewrite.Stage) (*rewrite.Base, error) {
	base, err := o.read(ctx, stage)
	if err != nil {
		return nil, err
	}
	o.fields.unused = base.FindFields(o.fields.options)
	return base, nil
}

func (o *rewriteOptions) read(ctx context.Context, stage *rewrite.Stage) (*rewrite.Base, error) {
	if o.stream.file == "" {
		return rewrite.LoadBase(ctx, stage, o.base)
	}
	name, in := "standard input", o.in
	if o.stream.file != "-" {
		file, err := os.Open(o.stream.file)
		if err != nil {
			return nil, fmt.Errorf("read the manifests: %w", err)
		}
		defer file.Close()
		name, in = file.Name(), io.Reader(file)
	}
	stream, err := rewrite.ReadStream(ctx, stage, name, in)
	if err != nil {
		return nil, err
	}
	o.stream.read = stream
	return stream.Base, nil
}

// printStream prints the manifests and nothing else.
func (o *rewriteOptions) printStream(ctx context.Context, stage *rewrite.Stage, plan *rewrite.Plan, warnings []string) error {
	text, err := o.stream.read.Rewritten(ctx, stage, plan)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		if !o.quiet {
			o.say("Warning: %s.", warning)
		}
	}
	if _, err := o.out.Write(text); err != nil {
		return fmt.Errorf("print the manifests: %w", err)
	}
	return nil
}
