// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/rewrite"
)

// rewriteFlags are what "rewrite" can be told.
type rewriteFlags struct {
	license              licenseFlags
	base, midstream, app string
	aliases              map[string]string
	timeout              time.Duration
	all, useDockerConfig bool
	dryRun, quiet        bool
	output               format
}

func newRewrite(a *app) *cobra.Command {
	f := &rewriteFlags{}
	cmd := &cobra.Command{
		Use:   "rewrite --base DIR (--license-file FILE | --app-slug SLUG --license-id-file FILE)",
		Short: "Send an application's private images through the image proxy",
		Long: `Send an application's private images through the image proxy, with a kustomization between the vendor's manifests and
what is applied.

The images of all Pods in the base are collected, and each image's registry is asked for it without credentials. What wants
credentials, or gets no answer, is private. The midstream then has the base as a resource, a new name for each private image, the
pull Secret (in --namespace and in the additionalNamespaces of a kots.io/v1beta1 Application in the base), and patches that add the
Secret to what uses such an image. It is built once before anything is written, and running it again changes nothing; your own
entries in the midstream's kustomization stay. A base without a kustomization gets one that lists its files.

The pull Secret's file holds the license: it is readable by you only, and does not belong into version control.`,
		Example: `  # What is private, and what would be written
  kubectl lsp rewrite --base base --app-slug my-app --license-file acme.yaml --proxy-domain proxy.example.com --dry-run

  # Write overlays/midstream, and apply it
  kubectl lsp rewrite --base base --app-slug my-app --license-file acme.yaml --proxy-domain proxy.example.com -n shop
  kubectl apply -n shop -k overlays/midstream

  # Without asking any registry, with an upstream that the proxy calls "local"
  kubectl lsp rewrite --base base --app-slug my-app --license-id-file id --all --alias localhost:5000=local`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.rewrite(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.base, "base", "", "directory with the application's manifests (required)")
	flags.StringVar(&f.midstream, "midstream", "", "directory to write (default overlays/midstream beside the base)")
	flags.StringVar(&f.app, "app-slug", "", "slug of the application (default the license file's)")
	f.license.addTo(cmd)
	flags.StringToStringVar(&f.aliases, "alias", nil, "short name that the proxy has for a registry (host=alias), needed for one with a port")
	flags.BoolVar(&f.all, "all", false, "take all images as private and ask no registry")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for a registry")
	flags.BoolVar(&f.useDockerConfig, "use-docker-config", false,
		"ask with the credentials of your docker config: what they open counts as public")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be written, without the license, and write nothing")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing but results and errors")
	f.output.addTo(cmd, "text", "json", "yaml")
	for _, flag := range []string{"base", "midstream"} {
		if err := cmd.MarkFlagDirname(flag); err != nil {
			cmd.PrintErrln("completion of --"+flag+":", err)
		}
	}
	return cmd
}

// check is about the command line alone.
func (f *rewriteFlags) check() error {
	if f.base == "" {
		return usageError{errors.New("--base is missing")}
	}
	if err := errors.Join(f.output.check(), f.license.check()); err != nil {
		return err
	}
	if f.app == "" && f.license.file == "" {
		return usageError{errors.New("--app-slug is missing")}
	}
	if f.app != "" {
		if err := license.CheckApp(f.app); err != nil {
			return usageError{fmt.Errorf("--app-slug %q %w", f.app, err)}
		}
	}
	for host, alias := range f.aliases {
		if !regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`).MatchString(alias) || host == "" {
			return usageError{fmt.Errorf("--alias %s=%s: write host=alias, with an alias of lower-case letters and digits", host, alias)}
		}
	}
	if f.timeout <= 0 {
		return usageError{fmt.Errorf("--timeout %s: wait for a while", f.timeout)}
	}
	return nil
}

// rewrite does everything on a stage; only what kustomize has built as it should be is written.
func (a *app) rewrite(ctx context.Context, f *rewriteFlags) error {
	customer, err := f.license.load()
	if err != nil {
		return err
	}
	var files rewrite.Stage
	base, err := rewrite.LoadBase(ctx, &files, f.base)
	if err != nil {
		return err
	}
	plan, err := a.plan(f, customer, base)
	if err != nil {
		return err
	}
	if f.all {
		plan.AssumeAll()
	} else if plan.Answers, err = a.ask(ctx, f, plan.Open()); err != nil {
		return err
	}
	overridden, err := plan.Stage(&files)
	if err != nil {
		return err
	}
	if err := plan.Verify(ctx, &files); err != nil {
		return err
	}
	result := rewritten{Midstream: plan.Dir, Images: plan.Findings(), Warnings: append(warnings(customer, plan.Proxy.App), plan.Warnings()...)}
	for _, name := range overridden {
		result.Warnings = append(result.Warnings, "the midstream's kustomization has an entry of yours for "+name+", which stays as it is")
	}
	if !f.dryRun {
		if err := files.Commit(); err != nil {
			return err
		}
	}
	return a.printRewritten(f, &result, files.Files(), plan.Namespaces())
}

func (a *app) plan(f *rewriteFlags, license *license.CustomerLicense, base *rewrite.Base) (*rewrite.Plan, error) {
	plan := &rewrite.Plan{
		Base: base, Dir: f.midstream, RegistryDomain: f.license.registryDomain, Namespace: *a.kube.Namespace, LicenseID: license.ID,
		Proxy: rewrite.Proxy{Domain: f.license.domain, App: f.app, Aliases: f.aliases},
	}
	if plan.Proxy.App == "" {
		plan.Proxy.App = license.App
	}
	for _, domain := range []string{base.Application.Domain, license.Domain} {
		if plan.Proxy.Domain == "" {
			plan.Proxy.Domain = domain
		}
	}
	if plan.Proxy.Domain == "" {
		return nil, usageError{errors.New("--proxy-domain is missing, and neither an Application in the base nor the license says it")}
	}
	if plan.Dir == "" {
		at, err := filepath.Abs(f.base)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", f.base, err)
		}
		plan.Dir = filepath.Join(filepath.Dir(at), "overlays", "midstream")
	}
	return plan, nil
}

// ask asks the registries, and shows how far it is.
func (a *app) ask(ctx context.Context, f *rewriteFlags, images []string) (map[string]rewrite.Answer, error) {
	shown := &questions{a: a, quiet: f.quiet}
	asker := rewrite.Asker{Timeout: f.timeout, Progress: shown.update}
	if f.useDockerConfig {
		asker.Keychain = authn.DefaultKeychain
	}
	answers, err := asker.Ask(ctx, images)
	shown.end()
	return answers, err
}
