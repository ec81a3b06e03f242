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

// rewriteOptions are those of "rewrite".
type rewriteOptions struct {
	*app
	license               customerLicenseFlags
	fields                rewriteFields
	base, midstream, slug string
	aliases               map[string]string
	timeout               time.Duration
	all, allSaid          bool
	useDockerConfig       bool
	verify                bool
	admissionPolicy       bool
	dryRun, quiet         bool
	output                format
}

func newRewrite(a *app) *cobra.Command {
	o := &rewriteOptions{app: a}
	cmd := &cobra.Command{
		Use:   "rewrite --base DIR (--license-file FILE | --app-slug SLUG --license-id-file FILE)",
		Short: "Send an application's private images through the image proxy",
		Long: `Send an application's private images through the image proxy.

The command writes a kustomization, the midstream, between the vendor's manifests (the base) and what you
apply. It collects the images of all Pods in the base, and asks each image's registry for it without
credentials. An image is private when its registry answers with anything but the manifest. With --verify, the
image proxy is asked for each private image before anything is written.

The midstream has the base as a resource, a new name for each private image, and the pull Secret. Patches add
the Secret to everything that uses such an image, and keep those of its ServiceAccount. The Secret goes into
--namespace, the namespaces of such Pods, and the additionalNamespaces of an Application in the base.

What only an installer reads is left out of what is applied. Template text that was not rendered is an error.

Images elsewhere are found as well: in custom resources, in variables and arguments, in ConfigMaps. Those that
are images for certain are renamed, by JSON patches. Inside of longer texts they are renamed with --in-text.
What is left is a warning, and --image-field or --keep-field decides about it.

With --admission-policy the midstream also has a MutatingAdmissionPolicy (Kubernetes 1.36). By it the API
server does the same to Pods that somebody else makes in those namespaces, such as an operator.

The command builds the result once before it writes anything. A second run changes nothing. Your own entries
in the midstream's kustomization stay. A base without a kustomization gets one that lists its files.

The pull Secret's file holds the license. Only you can read it. Keep it out of version control.`,
		Example: `  # What is private, and what would be written
  kubectl lsp rewrite --base base --app-slug my-app --license-file acme.yaml --proxy-domain proxy.example.com --dry-run

  # Write overlays/midstream, and apply it
  kubectl lsp rewrite --base base --app-slug my-app --license-file acme.yaml --proxy-domain proxy.example.com -n shop
  kubectl apply -n shop -k overlays/midstream

  # Also inside of texts; one field is an image, another stays
  kubectl lsp rewrite --base base --license-file acme.yaml --in-text \
    --image-field Broker:spec.image.repository --keep-field 'ConfigMap:data[defaults.yaml]'

  # Without asking any registry, with an upstream that the proxy calls "local"
  kubectl lsp rewrite --base base --app-slug my-app --license-id-file id --all --alias localhost:5000=local`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	o.addTo(cmd)
	return cmd
}

func (o *rewriteOptions) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.base, "base", "", "directory with the application's manifests (required)")
	flags.StringVar(&o.midstream, "midstream", "",
		"directory to write (default overlays/midstream beside the base)")
	flags.StringVar(&o.slug, "app-slug", "", "slug of the application (default the license file's)")
	o.license.addTo(cmd)
	flags.StringToStringVar(&o.aliases, "alias", nil,
		"short name that the proxy has for a registry (host=alias); a registry with a port needs one")
	flags.BoolVar(&o.all, "all", false, "take all images as private and ask no registry")
	flags.BoolVar(&o.admissionPolicy, "admission-policy", false,
		"have the API server rename the images of Pods that operators make, too (Kubernetes 1.36 or newer)")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for a registry")
	flags.BoolVar(&o.useDockerConfig, "use-docker-config", false,
		"ask with the credentials of your docker config; an image that they open counts as public")
	flags.BoolVar(&o.verify, "verify", false,
		"ask the image proxy for each image with the license first, and write nothing when it lacks one")
	flags.BoolVar(&o.dryRun, "dry-run", false,
		"print what would be written, without the license, and write nothing")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print results and errors only")
	o.fields.addTo(flags)
	o.output.addTo(cmd, "text", "json", "yaml")
	for _, flag := range []string{"base", "midstream"} {
		if err := cmd.MarkFlagDirname(flag); err != nil {
			cmd.PrintErrln("completion of --"+flag+":", err)
		}
	}
}

func (o *rewriteOptions) validate(cmd *cobra.Command, _ []string) error {
	o.allSaid = cmd.Flags().Changed("all")
	if o.base == "" {
		return usageError{errors.New("--base is missing")}
	}
	if err := errors.Join(o.output.validate(), o.license.validate(), o.fields.validate()); err != nil {
		return err
	}
	if o.slug == "" && o.license.file == "" {
		return usageError{errors.New("--app-slug is missing")}
	}
	if o.slug != "" {
		if err := license.CheckApp(o.slug); err != nil {
			return usageError{fmt.Errorf("--app-slug %q %w", o.slug, err)}
		}
	}
	for host, alias := range o.aliases {
		if !regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`).MatchString(alias) || host == "" {
			return usageError{fmt.Errorf(
				"--alias %s=%s: write host=alias, with an alias of lower-case letters and digits", host, alias)}
		}
	}
	if o.timeout <= 0 {
		return usageError{fmt.Errorf("--timeout %s: write a duration above zero, such as 10s", o.timeout)}
	}
	return nil
}

// run does everything on a stage. It writes only what kustomize has built as it should be.
func (o *rewriteOptions) run(ctx context.Context) error {
	customer, err := o.license.load()
	if err != nil {
		return err
	}
	var files rewrite.Stage
	base, err := rewrite.LoadBase(ctx, &files, o.base)
	if err != nil {
		return err
	}
	unused := base.FindFields(o.fields.options)
	plan, err := o.plan(customer, base)
	if err != nil {
		return err
	}
	if o.all || base.Application.ProxyPublicImages && !o.allSaid {
		plan.AssumeAll()
	} else if plan.Answers, err = o.ask(ctx, plan.Open()); err != nil {
		return err
	}
	if err := o.try(ctx, plan); err != nil {
		return err
	}
	overridden, err := plan.Stage(&files)
	if err != nil {
		return err
	}
	if err := plan.Verify(ctx, &files); err != nil {
		return err
	}
	result := rewritten{
		Midstream: plan.Dir, Images: plan.Findings(), Fields: plan.FieldFindings(),
		Warnings: append(licenseWarnings(customer, plan.Proxy.App), plan.Warnings()...),
	}
	for _, selector := range unused {
		result.Warnings = append(result.Warnings, selector.String()+" selects nothing in the base")
	}
	for _, name := range overridden {
		result.Warnings = append(result.Warnings,
			"the midstream's kustomization has an entry of yours for "+name+", which stays as it is")
	}
	if !o.dryRun {
		if err := files.Commit(); err != nil {
			return err
		}
	}
	return o.print(&result, files.Files(), plan.Applying())
}

func (o *rewriteOptions) plan(license *license.CustomerLicense, base *rewrite.Base) (*rewrite.Plan, error) {
	plan := &rewrite.Plan{
		Base: base, Dir: o.midstream, RegistryDomain: o.license.registryDomain,
		Namespace: *o.kube.Namespace, LicenseID: license.ID, InText: o.fields.inText, AdmissionPolicy: o.admissionPolicy,
		Proxy: rewrite.Proxy{Domain: o.license.domain, App: o.slug, Aliases: o.aliases},
	}
	if plan.Proxy.App == "" {
		plan.Proxy.App = license.App
	}
	for _, domain := range []string{base.Application.Domain, license.Domain} {
		if plan.Proxy.Domain == "" {
			plan.Proxy.Domain = domain
		}
	}
	if plan.RegistryDomain == "" {
		plan.RegistryDomain = base.Application.RegistryDomain
	}
	if plan.Proxy.Domain == "" {
		return nil, usageError{errors.New(
			"--proxy-domain is missing, and neither an Application in the base nor the license names it")}
	}
	if plan.Dir == "" {
		at, err := filepath.Abs(o.base)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", o.base, err)
		}
		plan.Dir = filepath.Join(filepath.Dir(at), "overlays", "midstream")
	}
	return plan, nil
}

// ask asks the registries, and shows how far it is.
func (o *rewriteOptions) ask(ctx context.Context, images []string) (map[string]rewrite.Answer, error) {
	shown := o.askProgress(ctx, o.quiet)
	asker := rewrite.Asker{Timeout: o.timeout, Progress: func(done, total int) { shown.update(int64(done), int64(total)) }}
	if o.useDockerConfig {
		asker.Keychain = authn.DefaultKeychain
	}
	answers, err := asker.Ask(ctx, images)
	shown.end()
	return answers, err
}

// try asks the proxy, where the user wants it, and lists what it lacks.
func (o *rewriteOptions) try(ctx context.Context, plan *rewrite.Plan) error {
	if !o.verify {
		return nil
	}
	err := plan.Try(ctx, rewrite.Trial{Timeout: o.timeout})
	if lacking, ok := errors.AsType[*rewrite.Lacking](err); ok {
		for _, image := range lacking.Images {
			o.say("%s", image)
		}
	}
	if err == nil && !o.quiet {
		o.say("The image proxy has what goes through it.")
	}
	return err
}
