// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// applyOptions are those of "workload apply".
type applyOptions struct {
	*app
	source              sourceFlags
	request             workload.Request
	subPath, kind       string
	serviceAccount      string
	partOf              string
	labels, env, params []string
	details             applyDetails
	registryCA          string
	file                string
	wait                bool
	tail                bool
	tailTimestamps      bool
	waitTimeout         time.Duration
	yes, dryRun         bool
	output              format
}

func newWorkloadApply(a *app) *cobra.Command {
	o := &applyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "apply (NAME | -f FILE)",
		Short: "Push local source and create or update the Workload that builds it",
		Long: `Push local source and create or update the Workload that builds it.

The source goes through Local Source Proxy. It goes straight to a registry, with the credential of your
docker config, in two cases: you name an image with --source-image, or the Workload has a source image that
the proxy did not set.

The annotation local-source-proxy.apps.tanzu.vmware.com marks source that went through the proxy. Moving to
--source-image, git or a prebuilt image removes it.

The command shows the change and asks before it pushes anything. With --yes it does not ask.`,
		Example: `  # From the current directory
  kubectl lsp workload apply web --local-path .

  # With a repository of your own
  kubectl lsp workload apply web --local-path . --source-image registry.example.com/me/web

  # From git, without asking
  kubectl lsp workload apply web --git-repo https://git.example.com/web --git-branch main --yes

  # What a file says, with local source; logs until it is ready
  kubectl lsp workload apply -f config/workload.yaml --local-path . --yes --tail

  # What would change
  kubectl lsp workload apply web --local-path . --dry-run`,
		Args:              atMost(1),
		RunE:              runVerb(o),
		ValidArgsFunction: a.completeWorkloads,
	}
	o.addTo(cmd)
	return cmd
}

func (o *applyOptions) addTo(cmd *cobra.Command) {
	o.source.addTo(cmd, "")
	o.addVia(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.request.SourceImage, "source-image", "",
		"image of your own to push the source to, past the proxy; without --local-path, one that has the source")
	flags.StringVar(&o.request.Git.URL, "git-repo", "", "git repository to build from")
	flags.StringVar(&o.request.Git.Branch, "git-branch", "", "branch to build")
	flags.StringVar(&o.request.Git.Tag, "git-tag", "", "tag to build")
	flags.StringVar(&o.request.Git.Commit, "git-commit", "", "commit to build")
	flags.StringVar(&o.request.Image, "image", "", "prebuilt image to run instead of building")
	flags.StringVar(&o.subPath, "sub-path", "",
		`directory of the application inside the source ("" removes it)`)
	flags.StringVar(&o.kind, "type", "",
		"type of the workload, such as web, server or worker (default of a new one: "+workload.DefaultType+")")
	flags.StringVar(&o.partOf, "app", "", "application that the workload is part of")
	flags.StringArrayVar(&o.labels, "label", nil,
		"labels to set (name=value,...) or remove (name-); may be repeated")
	flags.StringArrayVar(&o.env, "env", nil,
		"environment variable to set (NAME=value) or remove (NAME-); may be repeated")
	flags.StringArrayVar(&o.params, "param", nil,
		"parameter to set (name=value) or remove (name-); may be repeated")
	flags.StringVar(&o.serviceAccount, "service-account", "",
		`service account that the supply chain acts as ("" removes it)`)
	flags.StringVar(&o.registryCA, "registry-ca-cert", "",
		"file with certificates to trust when the source goes straight to a registry")
	o.details.addTo(cmd)
	flags.StringVarP(&o.file, "file", "f", "", `file with the Workload, "-" is standard input; flags count before it`)
	flags.BoolVar(&o.wait, "wait", false, "wait until the Workload is ready")
	flags.DurationVar(&o.waitTimeout, "wait-timeout", 10*time.Minute, "how long to wait")
	o.addTail(cmd)
	markPath(cmd, "file")
	addYes(cmd, &o.yes)
	flags.BoolVar(&o.dryRun, "dry-run", false, "print the Workload as it would be; push and change nothing")
	o.output.addTo(cmd, "name", "json", "yaml")
}

// validate turns flags into the request.
func (o *applyOptions) validate(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 0:
		o.request.Name = args[0]
	case o.file == "":
		return usageError{errors.New("NAME is missing")}
	}
	if o.waitTimeout <= 0 {
		return usageError{fmt.Errorf("--wait-timeout %s: write a duration above zero, such as 10m", o.waitTimeout)}
	}
	if err := o.output.validate(); err != nil {
		return err
	}
	if err := o.source.validate(cmd); err != nil {
		return err
	}
	o.request.LocalPath = o.source.localPath
	if cmd.Flags().Changed("sub-path") {
		o.request.SubPath = &o.subPath
	}
	if cmd.Flags().Changed("service-account") {
		o.request.ServiceAccount = &o.serviceAccount
	}
	if o.kind != "" {
		o.request.Labels = append(o.request.Labels, workload.Change{Name: workload.TypeLabel, Value: o.kind})
	}
	if o.partOf != "" {
		o.request.Labels = append(o.request.Labels, workload.Change{Name: workload.PartOfLabel, Value: o.partOf})
	}
	for _, list := range []struct {
		flag   string
		values []string
		into   *[]workload.Change
	}{
		{"label", split(o.labels), &o.request.Labels}, {"env", o.env, &o.request.Env}, {"param", o.params, &o.request.Params},
	} {
		for _, text := range list.values {
			change, err := workload.ParseChange(text)
			if err != nil {
				return usageError{errors.New("--" + list.flag + " " + err.Error())}
			}
			*list.into = append(*list.into, change)
		}
	}
	return o.details.validate(cmd, &o.request)
}

// split takes a=b,c=d apart, as the Apps CLI does for labels: their values have no commas.
func split(lists []string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, strings.Split(list, ",")...)
	}
	return all
}

// run does everything that changes nothing first: the decision, the packing, the diff. Only a confirmed
// change pushes.
func (o *applyOptions) run(ctx context.Context) (err error) {
	file, err := o.readFile()
	if err != nil {
		return err
	}
	workloads, existing, err := o.find(ctx)
	if err != nil {
		return err
	}
	base := existing
	if file != nil {
		base = workload.Merge(existing, file, o.request.Namespace, o.request.Name)
	}
	plan, err := workload.Decide(base, o.request)
	if err != nil {
		return usageError{err}
	}
	source, err := o.prepare(ctx, plan)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	wanted, err := workload.Build(base, o.request, plan, source.reference)
	if err != nil {
		return usageError{err}
	}
	if o.dryRun {
		return o.print(wanted, true)
	}
	diff, err := workload.Diff(existing, wanted)
	if err != nil {
		return err
	}
	if diff != "" {
		o.say("%s", strings.TrimSuffix(diff, "\n"))
		if err := tryStore(ctx, workloads, existing, wanted); err != nil {
			return err
		}
		if err := o.confirm(existing); err != nil {
			return err
		}
	}
	if err := source.send(ctx); err != nil {
		return err
	}
	stored := wanted
	if diff == "" {
		o.say("Workload %s is unchanged.", o.request.Name)
	} else if stored, err = store(ctx, workloads, existing, wanted, nil); err != nil {
		return err
	}
	if o.wait || o.tail || o.tailTimestamps {
		if err = o.awaitAndTail(ctx, func(ctx context.Context) error {
			stored, err = o.awaitReady(ctx, workloads)
			return err
		}); err != nil {
			return err
		}
	}
	return o.print(stored, false)
}

// find looks the Workload up; none is no error.
func (o *applyOptions) find(ctx context.Context) (dynamic.ResourceInterface, *unstructured.Unstructured, error) {
	r := &o.request
	workloads, namespace, err := o.workloads()
	if err != nil {
		return nil, nil, err
	}
	r.Namespace = namespace
	existing, err := workloads.Get(ctx, r.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return workloads, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("look for Workload %s in namespace %s: %w", r.Name, r.Namespace, err)
	}
	return workloads, existing, nil
}

// confirm asks about the change, unless --yes answers.
func (o *applyOptions) confirm(existing *unstructured.Unstructured) error {
	verb := "Update"
	if existing == nil {
		verb = "Create"
	}
	return o.consent(o.yes, fmt.Sprintf("%s Workload %s in namespace %s?", verb, o.request.Name, o.request.Namespace))
}

func (o *applyOptions) print(w *unstructured.Unstructured, whole bool) error {
	if o.output.value != "name" {
		return o.output.print(o.app, w.Object)
	}
	if whole {
		text, err := workload.YAML(w)
		if err == nil {
			_, err = fmt.Fprint(o.out, text)
		}
		return err
	}
	return o.line("workload.carto.run/" + w.GetName())
}
