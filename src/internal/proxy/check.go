// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings"
	"github.com/local-source-proxy/local-source-proxy/src/internal/source"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Checks say what to check.
type Checks struct {
	// Push: the way of a push.
	Push bool
	// Sources are where the settings come from; of them, the namespace is the image proxy's too.
	Sources Sources
	// Images: the image proxy's objects, and the way of pulls.
	Images bool
	// ImagesDir has the objects; empty: the cluster does.
	ImagesDir string
	// ImageNames are images to pull.
	ImageNames []string
}

// Check reads what the sides are given once, goes the way of a push and of pulls, and reports each step. Its
// error is [preflight.ErrFailed] when a step has failed, or a [UsageError].
func Check(ctx context.Context, checks Checks, report func(diagnosis.Step)) error {
	images, err := checks.images()
	if err != nil {
		return UsageError{err}
	}
	var failed error
	if checks.Push {
		failed = checkPush(ctx, checks.Sources, report)
	}
	if checks.Images && (failed == nil || errors.Is(failed, preflight.ErrFailed)) {
		failed = cmp.Or(checkImages(ctx, checks, images, report), failed)
	}
	return failed
}

func checkPush(ctx context.Context, sources Sources, report func(diagnosis.Step)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cluster, err := sources.cluster(kube.New, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	from, err := sources.feed(cluster)
	if err != nil {
		return err
	}
	live, _, err := follow(ctx, from, settings.LiveConfig{})
	if err == nil {
		err = live.Current().Problem()
	}
	if err != nil {
		return failedSettings(err, report)
	}
	now := live.Current()
	up := connect(now, upstream.Config{}, sources.DockerConfig)
	if up.Problem != nil {
		return failedSettings(up.Problem, report)
	}
	report(diagnosis.Step{Name: "settings", Status: diagnosis.OK, Detail: "pushes go to " + up.Registry.Host() + "/" + up.Repository})
	return preflight.CheckPush(ctx, up.Registry, up.Repository, unfiled(now, up, sources.DockerConfig), report)
}

// unfiled says that the docker config has credentials, and none for the registry; empty where it has one, or there
// is no docker config.
func unfiled(now *settings.Snapshot, up *source.Upstream, place string) string {
	if now.DockerConfig == nil {
		return ""
	}
	config, err := dockerconfig.Parse(place, now.DockerConfig)
	host := up.Registry.Host()
	if err != nil || config.KnowsRepository(host, up.Repository) || len(config.Hosts()) == 0 {
		return ""
	}
	return config.NoneFor(host+"/"+up.Repository, "the docker config").Error()
}

func failedSettings(err error, report func(diagnosis.Step)) error {
	for _, problem := range flatten(err) {
		report(diagnosis.Step{Name: "settings", Status: diagnosis.Failed, Detail: problem.Error()})
	}
	return preflight.ErrFailed
}

// flatten returns the errors that were joined, however deep.
func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{err}
	}
	var all []error
	for _, each := range joined.Unwrap() {
		all = append(all, flatten(each)...)
	}
	return all
}
