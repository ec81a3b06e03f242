// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/mirror"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// headerTimeoutOfCopy is how long a registry may think about one request. Putting a large blob together takes
// some of them minutes.
const headerTimeoutOfCopy = 15 * time.Minute

func (o *mirrorOptions) run(ctx context.Context) error {
	if o.fromTar != "" {
		return o.unpack(ctx)
	}
	files := rewrite.Stage{Helm: o.helm.program()}
	customer, plan, err := o.prepare(ctx, &files)
	if err != nil {
		return err
	}
	if host, _, _ := strings.Cut(o.to, "/"); host == plan.Proxy.Domain || o.to != "" && host == plan.RegistryDomain {
		return usageError{fmt.Errorf("--to %s is where the vendor's images are, and takes none; name a registry of your own", o.to)}
	}
	images, err := o.images(plan)
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.finish(ctx, customer, plan, &files, planned(images))
	}
	var keychain authn.Keychain
	if o.useDockerConfig {
		keychain = authn.DefaultKeychain
	}
	hosts := []string{plan.Proxy.Domain}
	if plan.RegistryDomain != "" {
		hosts = append(hosts, plan.RegistryDomain)
	}
	source, err := mirror.NewRegistries(mirror.License{ID: customer.ID, Hosts: hosts}, keychain, transportOfCopy(), o.concurrency)
	if err != nil {
		return err
	}
	if o.toTar != "" {
		return o.pack(ctx, source, customer, plan, images)
	}
	results, err := o.toRegistry(ctx, source, images)
	if err != nil {
		return err
	}
	return o.finish(ctx, customer, plan, &files, results)
}

func transportOfCopy() http.RoundTripper {
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTimeoutOfCopy
	return transport
}

// images are what is copied: private ones come through the proxy, the others from where they are.
func (o *mirrorOptions) images(plan *rewrite.Plan) ([]mirror.Image, error) {
	var all []mirror.Image
	for _, finding := range plan.Wanted() {
		if o.to != "" && strings.HasPrefix(finding.Image, o.to+"/") {
			continue // it is there
		}
		parsed, err := rewrite.ParseImage(finding.Image)
		if err != nil {
			return nil, err
		}
		if finding.NewName != "" && !plan.Proxy.Usable(finding.NewName) {
			return nil, fmt.Errorf("%s cannot be pulled through the proxy, because of the port: say --alias %s=ALIAS", finding.Image, parsed.Host)
		}
		from, err := name.NewRepository(cmp.Or(finding.NewName, parsed.Name))
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", finding.Image, err)
		}
		image := imageOf(plan, parsed)
		image.From = from
		all = append(all, image)
	}
	return unambiguous(all), nil
}

// unambiguous leaves out what two spellings name, and takes the tag of an image with a digest where the tag alone
// is an image too: it may stand for another one by now.
func unambiguous(images []mirror.Image) []mirror.Image {
	same := func(a, b mirror.Image) bool { return a.Path == b.Path && a.Tag == b.Tag && a.Digest == b.Digest }
	var all []mirror.Image
	for _, image := range images {
		plain := image
		plain.Digest = ""
		if image.Digest != "" && slices.ContainsFunc(images, func(other mirror.Image) bool { return same(plain, other) }) {
			image.Tag = ""
		}
		at := slices.IndexFunc(all, func(other mirror.Image) bool { return same(image, other) })
		if at < 0 {
			all = append(all, image)
			continue
		}
		all[at].Names = append(all[at].Names, image.Names...)
	}
	return all
}

// toRegistry copies to the customer's registry.
func (o *mirrorOptions) toRegistry(ctx context.Context, source mirror.Source, images []mirror.Image) ([]mirror.Result, error) {
	target, err := mirror.NewRegistry(o.to, authn.DefaultKeychain, transportOfCopy(), o.concurrency)
	if err != nil {
		return nil, err
	}
	return o.copy(ctx, source, target, o.concurrency, images)
}

// pack copies into a tar, one blob after the other, so that the same images make the same file.
func (o *mirrorOptions) pack(ctx context.Context, source mirror.Source, customer *license.CustomerLicense, plan *rewrite.Plan, images []mirror.Image) error {
	target, err := mirror.CreateTar(o.toTar)
	if err != nil {
		return err
	}
	results, err := o.copy(ctx, source, target, 1, images)
	if err == nil {
		err = failures(results)
	}
	if err != nil {
		o.notify(o.quiet)("What is in " + target.Close() + " stays there for the next attempt.")
		return err
	}
	if err := target.Commit(); err != nil {
		return err
	}
	return o.printMirrored(&mirrored{
		Tar: o.toTar, Images: o.outcomes(plan, results), Warnings: append(licenseWarnings(customer, plan.Proxy.App), notes(results)...),
	})
}

// copy copies, and shows how far it is.
func (o *mirrorOptions) copy(ctx context.Context, source mirror.Source, target mirror.Target, concurrency int, images []mirror.Image) ([]mirror.Result, error) {
	shown := o.copyProgress(ctx, o.quiet)
	copier := &mirror.Copier{Source: source, Target: target, Concurrency: concurrency, Progress: shown.update, Finished: o.finished(len(images))}
	if registries, ok := source.(*mirror.Registries); ok {
		copier.Fatal = registries.Ended
	}
	results, err := copier.Copy(ctx, images)
	shown.end()
	if err != nil && ctx.Err() == nil {
		return results, fmt.Errorf("copy the images: %w", err)
	}
	if err != nil && o.to != "" {
		o.notify(o.quiet)("What was copied stays. Run the same command again to go on.")
	}
	return results, err
}

// finished says what became of each image.
func (o *mirrorOptions) finished(total int) func(mirror.Result) {
	done := 0
	say := o.notify(o.quiet)
	return func(result mirror.Result) {
		done++
		switch {
		case result.Err != nil:
			say(fmt.Sprintf("%d of %d: %s failed: %v", done, total, result.Image.Name, result.Err))
		case result.Copied:
			say(fmt.Sprintf("%d of %d: %s copied, %s", done, total, result.Image.Name, size(result.Bytes)))
		default:
			say(fmt.Sprintf("%d of %d: %s is there", done, total, result.Image.Name))
		}
	}
}

// unpack copies from a tar to the customer's registry.
func (o *mirrorOptions) unpack(ctx context.Context) (err error) {
	archive, err := mirror.OpenTar(o.fromTar)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	if o.base == "" {
		results, err := o.toRegistry(ctx, archive, archive.Images())
		if err == nil {
			err = failures(results)
		}
		if err != nil {
			return err
		}
		return o.printMirrored(&mirrored{To: o.to, Images: o.outcomes(nil, results), Warnings: notes(results)})
	}
	files := rewrite.Stage{Helm: o.helm.program()}
	customer := &license.CustomerLicense{}
	if o.license.file != "" || o.license.idFile != "" {
		if customer, err = o.license.load(); err != nil {
			return err
		}
	}
	base, err := o.load(ctx, &files)
	if err != nil {
		return err
	}
	plan, err := o.plan(customer, base)
	if err != nil {
		return err
	}
	images, err := o.packed(plan, archive)
	if err != nil {
		return err
	}
	results := planned(images)
	if !o.dryRun {
		if results, err = o.toRegistry(ctx, archive, images); err != nil {
			return err
		}
	}
	return o.finish(ctx, customer, plan, &files, results)
}

// packed are the images of the base. The tar must have all that are images for certain.
func (o *mirrorOptions) packed(plan *rewrite.Plan, archive *mirror.Archive) ([]mirror.Image, error) {
	var images []mirror.Image
	for _, parsed := range plan.Base.Images {
		if strings.HasPrefix(parsed.Name, o.to+"/") {
			continue // it is there
		}
		image := imageOf(plan, parsed)
		if !archive.Has(image) {
			return nil, fmt.Errorf("%s is not in %s: write it again from this base", image.Name, o.fromTar)
		}
		images = append(images, image)
	}
	for _, parsed := range plan.Base.Unsure {
		if image := imageOf(plan, parsed.Image); archive.Has(image) {
			images = append(images, image)
		}
	}
	return unambiguous(images), nil
}

// imageOf is an image of the base as it is in the mirror.
func imageOf(plan *rewrite.Plan, parsed rewrite.Image) mirror.Image {
	image := mirror.Image{Name: parsed.Written, Names: []string{parsed.Written}, Path: plan.Proxy.Path(parsed), Tag: parsed.Tag, Digest: parsed.Digest}
	if image.Tag == "" && image.Digest == "" {
		image.Tag = name.DefaultTag
	}
	return image
}
