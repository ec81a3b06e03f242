// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/pack"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
)

// sourceFlags say which tree to push.
type sourceFlags struct {
	localPath, excludeFile string
	followLinks, quiet     bool
}

func (s *sourceFlags) addTo(cmd *cobra.Command, defaultPath string) {
	flags := cmd.Flags()
	flags.StringVar(&s.localPath, "local-path", defaultPath, "directory, zip, jar or war with the source")
	flags.StringVar(&s.excludeFile, "exclude-file", pack.DefaultExcludeFile, "name of the files in the source that list what not to push, as .gitignore does")
	flags.BoolVar(&s.followLinks, "follow-symlinks", false, "store what symbolic links lead to, inside of the source, instead of refusing them")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "say nothing but results and errors")
}

func (s *sourceFlags) pack(ctx context.Context, cmd *cobra.Command) (*pack.Image, error) {
	return pack.Pack(ctx, s.localPath, pack.Options{
		ExcludeFile: s.excludeFile, ExcludeFileOptional: !cmd.Flags().Changed("exclude-file"), FollowLinks: s.followLinks,
	})
}

// pushed is the result of "push" for programs.
type pushed struct {
	Reference string `json:"reference"`
	push.Result
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

func newPush(a *app) *cobra.Command {
	var name string
	var source sourceFlags
	var output format
	cmd := &cobra.Command{
		Use:   "push --name NAME",
		Short: "Push a source tree and print the image that it became",
		Long: `Push a source tree and print the image that it became, as repository:tag@digest.

The tag is <namespace>-<name>. The same tree gives the same digest everywhere; one that has not changed uploads nothing.
An interrupted upload continues where it stopped when the same command runs again. ".git" is not pushed unless the exclude
file takes it back ("!.git").

Symbolic links are refused, because what unpacks the image drops them. With --follow-symlinks the image has in their place what
they lead to.`,
		Example: `  # The current directory
  kubectl lsp push --name web

  # A jar, for another namespace, as JSON for a script
  kubectl lsp push --name web --local-path target/app.jar -n team-a -o json

  # Through a port-forward, without a kubeconfig
  kubectl lsp push --name web --server http://localhost:5002`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return usageError{fmt.Errorf("push takes no argument; did you mean --name %s?", quoted(args[0]))}
			}
			return exactly()(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(); err != nil {
				return err
			}
			if name == "" {
				return usageError{errors.New("--name is missing")}
			}
			if source.localPath == "" {
				return usageError{errors.New("--local-path is empty")}
			}
			return a.push(cmd, name, &source, &output)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the workload that the source belongs to (required)")
	source.addTo(cmd, ".")
	output.addTo(cmd, "name", "json", "yaml")
	registerCompletion(cmd, "name", a.completeWorkloads)
	markPath(cmd, "local-path")
	return cmd
}

func (a *app) push(cmd *cobra.Command, name string, source *sourceFlags, output *format) error {
	namespace, err := a.namespace()
	if err != nil {
		return err
	}
	tag, err := tagOf(namespace, name)
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	img, repository, err := a.packAndAsk(cmd, client, source)
	if err != nil {
		return err
	}
	defer img.Close()
	result, err := a.send(cmd.Context(), client, img, tag, repository, source.quiet)
	if err != nil {
		return err
	}
	if output.value != "name" {
		return output.print(a, pushed{result.Reference(), result, img.Files, img.Bytes})
	}
	_, err = fmt.Fprintln(a.out, result.Reference())
	return err
}

// tagOf is the tag for a workload's source (spec-local-source-proxy, "The exchange of one push"), if it can be one
// (distribution-spec 1.1).
func tagOf(namespace, name string) (string, error) {
	tag := namespace + "-" + name
	if !regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`).MatchString(tag) {
		return "", fmt.Errorf("name %q: %q is no valid tag; use at most 128 letters, digits, '.', '_' and '-'", name, tag)
	}
	return tag, nil
}

// packAndAsk packs the source while it asks the proxy whether a push may begin. The caller closes the image.
func (a *app) packAndAsk(cmd *cobra.Command, client *apiserver.Client, source *sourceFlags) (*pack.Image, string, error) {
	var img *pack.Image
	var repository string
	group, ctx := errgroup.WithContext(cmd.Context())
	group.Go(func() (err error) {
		repository, err = push.Preflight(ctx, client, push.Options{Notify: a.notify(source.quiet)})
		return err
	})
	group.Go(func() (err error) {
		img, err = source.pack(ctx, cmd)
		return err
	})
	if err := group.Wait(); err != nil {
		if img != nil {
			err = errors.Join(err, img.Close())
		}
		return nil, "", err
	}
	if !source.quiet {
		a.say("Packed %s, %s.", count(img.Files, "file"), size(img.Bytes))
		a.sayNotice(img)
	}
	return img, repository, nil
}

// sayNotice says how the Apps CLI would choose other files, when it would.
func (a *app) sayNotice(img *pack.Image) {
	if img.Notice != "" {
		a.say("%s", img.Notice)
	}
}

// notify says what happens on the way, unless quiet.
func (a *app) notify(quiet bool) func(string) {
	return func(line string) {
		if !quiet {
			a.say("%s", line)
		}
	}
}

// send pushes the image through the proxy and says how it went.
func (a *app) send(ctx context.Context, client *apiserver.Client, img *pack.Image, tag, repository string, quiet bool) (push.Result, error) {
	shown := &progress{a: a, quiet: quiet}
	result, err := push.Push(ctx, client, img, push.Options{
		Tag: tag, Repository: repository, Sessions: a.sessions(), Notify: a.notify(quiet), Progress: shown.update,
	})
	shown.end()
	if stopped, ok := errors.AsType[*push.Interrupted](err); ok {
		a.sayContinue(stopped)
		return push.Result{}, silent{}
	}
	if err == nil && !quiet {
		a.sayResult(result)
	}
	return result, err
}

func (a *app) sayResult(result push.Result) {
	switch {
	case result.Unchanged:
		a.say("Unchanged: %s names this source already, nothing was uploaded.", result.Tag)
	case result.Uploaded == 0:
		a.say("Pushed: the registry had all of it, nothing was uploaded.")
	default:
		a.say("Pushed: %s uploaded.", size(result.Uploaded))
	}
}

func (a *app) sayContinue(stopped *push.Interrupted) {
	how := "begins anew"
	if stopped.Resumable {
		how = "continues the upload where it stopped"
	}
	words := make([]string, len(a.args))
	for i, word := range a.args {
		words[i] = quoted(word)
	}
	a.say("kubectl lsp: %v; this %s:\n  kubectl lsp %s", stopped, how, strings.Join(words, " "))
}

// quoted makes a word safe to paste into a shell.
func quoted(word string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`).MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
