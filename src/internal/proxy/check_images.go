// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/store"
	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

const (
	// readingTimeout bounds the reading of a cluster's objects.
	readingTimeout = 20 * time.Second
	// registriesAtOnce is how many registries are asked at the same time.
	registriesAtOnce = 8
)

func (c Checks) images() ([]imageproxy.Image, error) {
	if len(c.ImageNames) > 0 && !c.Images {
		return nil, errors.New("--image needs --image-proxy-dir, the directory with licenses and registries")
	}
	var images []imageproxy.Image
	for _, name := range c.ImageNames {
		image, err := imageproxy.ParseImage(name)
		if err != nil {
			return nil, fmt.Errorf("--image: %w", err)
		}
		images = append(images, image)
	}
	return images, nil
}

// checkImages judges each object of the image proxy, and asks each registry.
func checkImages(ctx context.Context, checks Checks, images []imageproxy.Image, report func(diagnosis.Step)) error {
	failed := false
	tell := func(s diagnosis.Step) {
		failed = failed || s.Status == diagnosis.Failed
		report(s)
	}
	view, err := look(ctx, checks)
	if _, usage := errors.AsType[UsageError](err); usage {
		return err
	}
	if err != nil {
		tell(diagnosis.Step{Name: "objects", Status: diagnosis.Failed, Detail: err.Error()})
		return preflight.ErrFailed
	}
	judge(view, time.Now(), tell)
	pulls := pullsOf(view, images, tell)
	askAll(ctx, pulls, tell)
	if failed {
		return preflight.ErrFailed
	}
	return nil
}

func look(ctx context.Context, checks Checks) (*store.View, error) {
	cfg := store.Config{Dir: checks.ImagesDir, Upstream: upstream.Config{}}
	if cfg.Dir == "" {
		cluster, err := checks.Sources.cluster(kube.NewImageProxy, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		if cluster == nil {
			return nil, UsageError{errors.New("--image-proxy-dir is needed outside of a cluster: name the directory with licenses and registries")}
		}
		cfg.Cluster = cluster
	}
	ctx, cancel := context.WithTimeout(ctx, readingTimeout)
	defer cancel()
	return store.Look(ctx, cfg)
}

// judge says of each object what is in force of it.
func judge(view *store.View, now time.Time, tell func(diagnosis.Step)) {
	if len(view.Findings) == 0 {
		tell(diagnosis.Step{
			Name: "objects", Status: diagnosis.Failed,
			Detail: "there is neither a License nor an ExternalRegistry, so nobody can pull",
			Remedy: "write one of each, or name another directory",
		})
	}
	for _, f := range view.Findings {
		step := diagnosis.Step{Name: "object", Object: f.What, Status: diagnosis.OK}
		switch {
		case f.Problem != "":
			step.Status, step.Detail = diagnosis.Failed, f.Problem
		case f.Registry != nil:
			step.Detail = describeRegistry(f.Registry)
		case len(f.License) == 0:
			step.Detail = "has no credential, and opens nothing"
		default:
			var opens bool
			step.Detail, opens = imageproxy.Describe(f.License, now)
			if app := f.License[0].License.App; opens && !isOpen(view, app) {
				step.Status, step.Detail = diagnosis.Failed, "no registry is open to the application "+app
				step.Remedy = "write an ExternalRegistry, or add " + app + " to the appAccess of one"
			}
		}
		tell(step)
	}
}

func describeRegistry(r *catalog.Registry) string {
	text := "stands for " + r.Hostname
	if r.Alias != "" {
		text += " and " + r.Alias
	}
	if len(r.Apps) == 0 {
		return text + ", open to all applications"
	}
	return fmt.Sprintf("%s, open to %q", text, r.Apps)
}

func isOpen(view *store.View, app string) bool {
	return slices.ContainsFunc(view.Findings, func(f store.Finding) bool {
		return f.Registry != nil && (len(f.Registry.Apps) == 0 || slices.Contains(f.Registry.Apps, app))
	})
}

// pull is what is asked of one registry.
type pull struct {
	preflight.Pull
	object string
}

// pullsOf are what is asked of the registries: each its images.
func pullsOf(view *store.View, images []imageproxy.Image, tell func(diagnosis.Step)) []*pull {
	var pulls []*pull
	of := map[*catalog.Registry]*pull{}
	apps := []string{""} // an application of which nothing is known
	for _, f := range view.Findings {
		if r := f.Registry; r != nil {
			apps = append(apps, r.Apps...)
			if r.Upstream != nil {
				of[r] = &pull{preflight.Pull{Registry: r.Upstream, Credential: f.Credential}, f.What}
				pulls = append(pulls, of[r])
			}
		}
		if len(f.License) > 0 {
			apps = append(apps, f.License[0].License.App)
		}
	}
	for _, image := range images {
		found, err := image.Find(view.Catalog, apps)
		if err != nil {
			tell(diagnosis.Step{
				Name: "image", Object: image.String(), Status: diagnosis.Failed, Detail: notFound(err),
				Remedy: "check the image's name, and the hostname, alias, appAccess and repositories of the ExternalRegistry",
			})
		}
		for _, each := range found {
			one := preflight.Image{Repository: each.Repository, Reference: image.Reference}
			switch p := of[each.Registry]; {
			case p == nil:
				tell(diagnosis.Step{
					Name: "image", Object: image.String(), Status: diagnosis.Failed,
					Detail: "its registry, ExternalRegistry " + each.Registry.Name + ", cannot be asked",
				})
			case !slices.Contains(p.Images, one):
				p.Images = append(p.Images, one)
			}
		}
	}
	return pulls
}

func notFound(err error) string {
	if errors.Is(err, catalog.ErrNoRegistry) {
		return "no ExternalRegistry that is in force stands for its registry"
	}
	return err.Error()
}

// askAll asks several registries at a time, and reports one after the other.
func askAll(ctx context.Context, pulls []*pull, tell func(diagnosis.Step)) {
	places := make(chan struct{}, registriesAtOnce)
	var running sync.WaitGroup
	defer running.Wait()
	done := make([]chan []diagnosis.Step, len(pulls))
	for i, each := range pulls {
		done[i] = make(chan []diagnosis.Step, 1)
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			defer each.Registry.Close()
			var steps []diagnosis.Step
			_ = preflight.CheckPull(ctx, each.Pull, func(s diagnosis.Step) { steps = append(steps, s) }) // its steps say it
			done[i] <- steps
		})
	}
	for i, each := range pulls {
		for _, step := range <-done[i] {
			step.Object = each.object
			tell(step)
		}
	}
}
