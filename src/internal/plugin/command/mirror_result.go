// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/mirror"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// mirrored is the result of "mirror" for programs.
type mirrored struct {
	To        string          `json:"to,omitempty"`
	Tar       string          `json:"tar,omitempty"`
	Images    []mirroredImage `json:"images"`
	Midstream string          `json:"midstream,omitempty"`
	Files     []writtenFile   `json:"files,omitempty"`
	Warnings  []string        `json:"warnings,omitempty"`

	apply string // the line that says how
}

// mirroredImage is what became of one. Its action is copied, kept, or planned.
type mirroredImage struct {
	Image    string `json:"image"`
	NewName  string `json:"newName,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Action   string `json:"action"`
	Bytes    int64  `json:"bytes"`
	Attached int    `json:"attached"`
}

// planned are the results of a dry run.
func planned(images []mirror.Image) []mirror.Result {
	var all []mirror.Result
	for _, image := range images {
		all = append(all, mirror.Result{Image: image})
	}
	return all
}

// copied are the names that the application has for what is in the mirror.
func copied(results []mirror.Result) []string {
	var all []string
	for _, result := range results {
		all = append(all, result.Image.Names...)
	}
	return all
}

// failures is one error for all images that could not be copied.
func failures(results []mirror.Result) error {
	var failed []mirror.Result
	for _, result := range results {
		if result.Err != nil {
			failed = append(failed, result)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	more := ""
	if len(failed) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(failed)-1)
	}
	return fmt.Errorf("%d of %d images could not be copied, and nothing was written: %s: %w%s",
		len(failed), len(results), failed[0].Image.Name, failed[0].Err, more)
}

// notes are warnings about images that were copied.
func notes(results []mirror.Result) []string {
	var all []string
	for _, result := range results {
		for _, note := range result.Notes {
			all = append(all, result.Image.Name+": "+note)
		}
	}
	return all
}

func (o *mirrorOptions) outcomes(plan *rewrite.Plan, results []mirror.Result) []mirroredImage {
	all := []mirroredImage{}
	for _, result := range results {
		one := mirroredImage{Image: result.Image.Name, Digest: result.Digest, Action: "kept", Bytes: result.Bytes, Attached: result.Attached}
		if result.Copied {
			one.Action = "copied"
		}
		if plan != nil && o.dryRun {
			one.Action = "planned"
		}
		if o.to != "" {
			one.NewName = o.to + "/" + result.Image.Reference()
		}
		all = append(all, one)
	}
	return all
}

// finish writes the midstream with the names that the images have in the mirror.
func (o *mirrorOptions) finish(ctx context.Context, customer *license.CustomerLicense, plan *rewrite.Plan, files *rewrite.Stage, results []mirror.Result) error {
	if err := failures(results); err != nil {
		return err
	}
	result := &mirrored{To: o.to, Tar: o.toTar, Images: o.outcomes(plan, results)}
	if o.to == "" { // a dry run of --to-tar
		result.Warnings = licenseWarnings(customer, plan.Proxy.App)
		return o.printMirrored(result)
	}
	plan.Proxy.Mirror = o.to
	plan.AssumeMirrored(copied(results))
	if err := o.secret(ctx, plan); err != nil {
		return err
	}
	staged, err := o.stage(ctx, customer, plan, files)
	if err != nil {
		return err
	}
	if !o.dryRun {
		if err := files.Commit(); err != nil {
			return err
		}
	}
	result.Midstream, result.Files = shortPath(plan.Dir), o.shown(files.Files())
	result.Warnings = append(staged.Warnings, notes(results)...)
	result.apply = o.helm.apply(howToApply(result.Midstream, plan.Applying()))
	return o.printMirrored(result)
}

// secret decides about the pull Secret of the customer's registry.
func (o *mirrorOptions) secret(ctx context.Context, plan *rewrite.Plan) error {
	plan.Mirror = rewrite.MirrorSecret{Name: o.pullSecret}
	if !o.secretOfDockerConfig {
		return nil
	}
	if plan.Mirror.Name == "" {
		plan.Mirror.Name = "mirror-registry"
	}
	repository, err := name.NewRepository(o.to)
	if err != nil {
		return fmt.Errorf("find the credential of %s: %w", o.to, err)
	}
	host := repository.RegistryStr()
	credential, err := authn.Resolve(ctx, authn.DefaultKeychain, repository)
	if err != nil {
		return fmt.Errorf("find the credential of %s in the docker config: %w", host, err)
	}
	config, err := authn.Authorization(ctx, credential)
	if err != nil {
		return fmt.Errorf("find the credential of %s in the docker config: %w", host, err)
	}
	if config.Username == "" || config.Password == "" {
		return fmt.Errorf("the docker config has no user name and password for %s; run docker login %s, or name a Secret with --pull-secret", host, host)
	}
	entry := map[string]string{
		"username": config.Username, "password": config.Password,
		"auth": base64.StdEncoding.EncodeToString([]byte(config.Username + ":" + config.Password)),
	}
	plan.Mirror.DockerConfig, err = json.Marshal(map[string]any{"auths": map[string]any{host: entry}})
	return err
}

func (o *mirrorOptions) printMirrored(result *mirrored) error {
	for _, warning := range result.Warnings {
		o.notify(o.quiet)("Warning: " + warning + ".")
	}
	if o.output.value != "text" {
		return o.output.print(o.app, result)
	}
	table := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	for _, image := range result.Images {
		fmt.Fprintf(table, "%s\t%s\t%s\n", image.Action, image.Image, image.NewName)
	}
	if result.Tar != "" && !o.dryRun {
		fmt.Fprintf(table, "create\t%s\n", result.Tar)
	}
	err := errors.Join(table.Flush(), (&rewritten{Files: result.Files}).text(o.out))
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if result.apply != "" && !o.quiet && !o.dryRun {
		o.say("%s", result.apply)
	}
	return nil
}
