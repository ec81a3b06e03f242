// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/pack"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
)

// pushOptions are those of "push".
type pushOptions struct {
	*app
	name        string
	tags        []string
	annotations []string
	origin      bool
	lockOutput  string
	timeout     time.Duration
	dryRun      bool
	source      sourceFlags
	output      format
}

// pushed is the result of "push" for programs.
type pushed struct {
	Reference string `json:"reference"`
	push.Result
	Files       int               `json:"files"`
	Bytes       int64             `json:"bytes"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func newPush(a *app) *cobra.Command {
	o := &pushOptions{app: a}
	cmd := &cobra.Command{
		Use:   "push --name NAME",
		Short: "Push a source tree and print the image that it became",
		Long: `Push a source tree and print the image that it became, as repository:tag@digest.

The tag is <namespace>-<name>. Where namespaces share a repository by tags, a name with "-" or "_" has the tag
<namespace>_<name>. The same tree has the same digest on every machine. A tree that has not changed
uploads nothing. After an interruption, run the same command again: it continues the upload where it stopped.

The push leaves ".git" out, unless the exclude file takes it back with "!.git". It refuses symbolic links,
because what unpacks the image drops them. With --follow-symlinks it stores what they lead to.

With --dry-run it lists the files, their size and the digest. It asks nobody and sends nothing.`,
		Example: `  # The current directory
  kubectl lsp push --name web

  # What would be sent
  kubectl lsp push --name web --dry-run

  # A jar, for another namespace, as JSON for a script
  kubectl lsp push --name web --local-path target/app.jar -n team-a -o json

  # For a release: one more tag, the git commit in the image, and a lock for imgpkg
  kubectl lsp push --name web --tag team-a-web-v1 --origin --lock-output web.lock.yml

  # Through a port-forward, without a kubeconfig
  kubectl lsp push --name web --server http://localhost:5002`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return usageError{fmt.Errorf("push takes no argument; did you mean --name %s?", quoted(args[0]))}
			}
			return exactly()(cmd, args)
		},
		RunE: runVerb(o),
	}
	o.addTo(cmd)
	registerCompletion(cmd, "name", a.completeWorkloads)
	return cmd
}

func (o *pushOptions) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "", "name of the workload that the source belongs to (required)")
	flags.StringArrayVar(&o.tags, "tag", nil, "another tag for the image, as it stands here; may be repeated")
	flags.StringArrayVar(&o.annotations, "annotation", nil,
		"annotation of the image (name=value); may be repeated; the digest is another one then")
	flags.BoolVar(&o.origin, "origin", false,
		"annotate the image with the git commit of the source, whether it was changed, and the repository")
	flags.StringVar(&o.lockOutput, "lock-output", "",
		"file to write an ImagesLock of imgpkg with the image into")
	flags.DurationVar(&o.timeout, "timeout", 0, "how long the whole push may take, such as 10m; 0 is without end")
	flags.BoolVar(&o.dryRun, "dry-run", false, "list what would be sent; ask nobody and send nothing")
	o.addVia(cmd)
	o.source.addTo(cmd, ".")
	o.output.addTo(cmd, "name", "json", "yaml")
	markPath(cmd, "lock-output")
}

func (o *pushOptions) validate(cmd *cobra.Command, _ []string) error {
	if err := o.output.validate(); err != nil {
		return err
	}
	switch {
	case o.name == "":
		return usageError{errors.New("--name is missing")}
	case o.timeout < 0:
		return usageError{fmt.Errorf("--timeout %s: write a duration such as 10m; 0 is without end", o.timeout)}
	case cmd.Flags().Changed("lock-output") && o.lockOutput == "":
		return usageError{errors.New("--lock-output is empty: name a file")}
	case o.dryRun && o.lockOutput != "":
		return usageError{errors.New("--dry-run and --lock-output: a lock is for an image that was pushed")}
	}
	for _, tag := range o.tags {
		if !validTag(tag) {
			return usageError{fmt.Errorf("--tag %q: %s", tag, tagGrammar)}
		}
	}
	if _, err := readAnnotations(o.annotations); err != nil {
		return err
	}
	return o.source.validate(cmd)
}

func (o *pushOptions) run(ctx context.Context) error {
	within := ctx
	if o.timeout > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	err := o.pushWithin(within)
	if _, said := errors.AsType[silent](err); !said && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		why := ""
		if stopped, ok := errors.AsType[*push.Interrupted](err); ok && stopped.LastTry != nil {
			why = ": " + stopped.LastTry.Error()
		}
		return fmt.Errorf("push: it did not end within --timeout %s%s", o.timeout, why)
	}
	return err
}

func (o *pushOptions) pushWithin(ctx context.Context) error {
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	tag, err := tagOf(namespace, o.name, "")
	if err != nil {
		return err
	}
	if o.source.annotations, err = o.imageAnnotations(ctx); err != nil {
		return err
	}
	if o.dryRun {
		return o.list(ctx, tag)
	}
	if err := checkLockFile(o.lockOutput); err != nil {
		return err
	}
	client, err := o.client(o.source.quiet)
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	img, proxy, err := o.packAndAsk(ctx, client, &o.source)
	if err != nil {
		return err
	}
	defer img.Close()
	if tag, err = tagOf(namespace, o.name, proxy.Tenancy); err != nil {
		return err
	}
	result, err := o.sendTagged(ctx, client, img, tag, proxy.Target)
	if err != nil {
		return err
	}
	if o.output.value != "name" {
		return o.output.print(o.app, pushed{result.Reference(), result, img.Files, img.Bytes, o.source.annotations})
	}
	return o.line(result.Reference())
}

// sendTagged pushes, and writes the lock of what was pushed.
func (o *pushOptions) sendTagged(
	ctx context.Context, client *apiserver.Client, img *pack.Image, tag, repository string,
) (push.Result, error) {
	opts := push.Options{Tag: tag, Also: o.also(tag), Repository: repository}
	result, err := o.send(ctx, client, img, opts, o.source.quiet)
	if err != nil {
		return push.Result{}, err
	}
	return result, writeLock(o.lockOutput, result)
}

// also returns the further tags, each once, without that of the workload.
func (o *pushOptions) also(tag string) (further []string) {
	for _, each := range o.tags {
		if each != tag && !slices.Contains(further, each) {
			further = append(further, each)
		}
	}
	return further
}

// imageAnnotations are those that were asked for. What is named counts before what git says.
func (o *pushOptions) imageAnnotations(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	if o.origin {
		origin, err := gitOrigin(ctx, o.source.localPath)
		if err != nil {
			return nil, fmt.Errorf("--origin: %w", err)
		}
		maps.Copy(all, origin)
	}
	named, err := readAnnotations(o.annotations)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, named)
	return all, nil
}
