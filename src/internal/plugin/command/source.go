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
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/pack"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
)

// sourceFlags say which tree to push. "push" and "workload apply" share them.
type sourceFlags struct {
	localPath, excludeFile string
	excludeFileNamed       bool
	followLinks, quiet     bool
	annotations            map[string]string // of the image
}

func (s *sourceFlags) addTo(cmd *cobra.Command, defaultPath string) {
	flags := cmd.Flags()
	flags.StringVar(&s.localPath, "local-path", defaultPath, "directory, zip, jar or war with the source")
	flags.StringVar(&s.excludeFile, "exclude-file", pack.DefaultExcludeFile,
		"name of the files in the source that list what not to push, in .gitignore syntax")
	flags.BoolVar(&s.followLinks, "follow-symlinks", false,
		"store what symbolic links lead to, inside of the source, instead of refusing them")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "print results and errors only")
	markPath(cmd, "local-path")
}

// validate notes what was typed: only the default exclude file may be missing.
func (s *sourceFlags) validate(cmd *cobra.Command) error {
	s.excludeFileNamed = cmd.Flags().Changed("exclude-file")
	if cmd.Flags().Changed("local-path") && s.localPath == "" {
		return usageError{errors.New("--local-path is empty")}
	}
	return nil
}

func (s *sourceFlags) pack(ctx context.Context) (*pack.Image, error) {
	return pack.Pack(ctx, s.localPath, pack.Options{
		ExcludeFile: s.excludeFile, ExcludeFileOptional: !s.excludeFileNamed, FollowLinks: s.followLinks,
		Annotations: s.annotations,
	})
}

// tagOf is the tag for a workload's source (spec-local-source-proxy, "The exchange of one push"), if it can
// be one (distribution-spec 1.1). With tenancy "tags" the tag alone says whose it is: "team-my-app" would be
// of a namespace "team-my". No namespace has "_" in its name, so that ends it in "team_my-app".
func tagOf(namespace, name, tenancy string) (string, error) {
	separator := "-"
	if tenancy == doctor.TenancyTags && (strings.ContainsAny(name, "-_") || likeDigest(namespace)) {
		separator = "_"
	}
	tag := namespace + separator + name
	if !validTag(tag) {
		return "", fmt.Errorf("name %q: %q is no valid tag; %s", name, tag, tagGrammar)
	}
	return tag, nil
}

// likeDigest is true of the namespaces whose tags could look like those that clients name by a digest.
func likeDigest(namespace string) bool { return namespace == "sha256" || namespace == "sha512" }

const tagGrammar = "use at most 128 letters, digits, '.', '_' and '-'"

func validTag(tag string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`).MatchString(tag)
}

// packAndAsk packs the source while it finds the way in and asks the proxy whether a push may begin. The caller
// closes the image.
func (a *app) packAndAsk(
	ctx context.Context, client *apiserver.Client, source *sourceFlags,
) (*pack.Image, doctor.Report, error) {
	var img *pack.Image
	var proxy doctor.Report
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		proxy, err = push.Preflight(ctx, client, push.Options{Notify: a.notify(source.quiet)})
		return err
	})
	group.Go(func() (err error) {
		img, err = source.pack(ctx)
		return err
	})
	if err := group.Wait(); err != nil {
		if img != nil {
			err = errors.Join(err, img.Close())
		}
		return nil, doctor.Report{}, err
	}
	if !source.quiet {
		a.say("Packed %s, %s.", count(img.Files, "file"), size(img.Bytes))
		a.sayNotice(img)
	}
	return img, proxy, nil
}

// sayNotice says how the Apps CLI would choose other files, when it would.
func (a *app) sayNotice(img *pack.Image) {
	if img.Notice != "" {
		a.say("%s", img.Notice)
	}
}

// send pushes the image through the proxy, under the options' tags, and says how it went.
func (a *app) send(
	ctx context.Context, client *apiserver.Client, img *pack.Image, opts push.Options, quiet bool,
) (push.Result, error) {
	shown := a.uploadProgress(ctx, quiet)
	opts.Sessions, opts.Notify, opts.Progress = a.sessions(), a.notify(quiet), shown.update
	result, err := push.Push(ctx, client, img, opts)
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
	switch {
	case stopped.Resumable:
		how = "continues the upload where it stopped"
	case stopped.Unconfirmed:
		how = "continues the upload as far as the registry has kept it"
	}
	a.say("kubectl lsp: %v; this %s:\n  %s", stopped, how, a.typed())
}
