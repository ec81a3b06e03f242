// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"strings"

	distribution "github.com/distribution/reference"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
)

const maxConcurrency = 64

// mirrorOptions are those of "mirror": what is copied is what "rewrite" finds.
type mirrorOptions struct {
	rewriteOptions
	to, toTar, fromTar   string
	pullSecret           string
	secretOfDockerConfig bool
	concurrency          int
}

func newMirror(a *app) *cobra.Command {
	o := &mirrorOptions{rewriteOptions: rewriteOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "mirror --base DIR (--license-file FILE | --app-slug SLUG --license-id-file FILE) (--to REGISTRY/PATH | --to-tar FILE)",
		Short: "Copy an application's images to a registry of your own",
		Long: `Copy an application's images to a registry of your own.

The command finds the images of the base as "rewrite" does. It copies private ones through the image proxy
with the license, and public ones from where they are. All platforms, referrers and signatures are copied too.
Then it writes the midstream, with the names that the images have in your registry.

What your registry has already is not copied again. After an interruption, run the same command again.

Your registry's credential comes from your docker config. The license is shown to the proxy's domain and to
--registry-domain, and to no other host. The midstream does not hold it.

Over an air gap, --to-tar writes the images into a file, an OCI image layout. There, --from-tar reads it. No
license is needed then.`,
		Example: `  # Copy the images, and apply what is written
  kubectl lsp mirror --base base --license-file acme.yaml --to registry.example.com/apps --pull-secret my-registry
  kubectl apply -k overlays/midstream

  # What would be copied
  kubectl lsp mirror --base base --license-file acme.yaml --to registry.example.com/apps --dry-run

  # Over an air gap
  kubectl lsp mirror --base base --license-file acme.yaml --to-tar images.tar
  kubectl lsp mirror --base base --from-tar images.tar --to registry.example.com/apps`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	o.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.to, "to", "", "registry to copy to, and a path that all names there begin with")
	flags.StringVar(&o.toTar, "to-tar", "", "file to write the images into, instead of --to")
	flags.StringVar(&o.fromTar, "from-tar", "", "file that --to-tar wrote, to copy from")
	flags.StringVar(&o.pullSecret, "pull-secret", "",
		"pull Secret of your registry that Pods get; it is in the cluster already")
	flags.BoolVar(&o.secretOfDockerConfig, "pull-secret-from-docker-config", false,
		"write that pull Secret, with the credential that your docker config has for the registry")
	flags.IntVar(&o.concurrency, "concurrency", 4, "how many blobs to copy at the same time")
	markPath(cmd, "to-tar")
	markPath(cmd, "from-tar")
	return cmd
}

func (o *mirrorOptions) validate(cmd *cobra.Command, args []string) error {
	if err := o.validateWays(); err != nil {
		return err
	}
	if o.concurrency < 1 || o.concurrency > maxConcurrency {
		return usageError{fmt.Errorf("--concurrency %d: choose one from 1 to %d", o.concurrency, maxConcurrency)}
	}
	if o.pullSecret != "" {
		if wrong := validation.IsDNS1123Subdomain(o.pullSecret); len(wrong) > 0 {
			return usageError{fmt.Errorf("--pull-secret %q cannot be the name of a Secret", o.pullSecret)}
		}
	}
	if o.fromTar == "" {
		return o.rewriteOptions.validate(cmd, args)
	}
	if o.base == "" && (o.midstream != "" || o.dryRun || o.pullSecret != "" || o.secretOfDockerConfig) {
		return usageError{errors.New("--base is missing: without it --from-tar copies images and writes no midstream")}
	}
	return o.validateCommon()
}

// validateWays checks where images come from and go to.
func (o *mirrorOptions) validateWays() error {
	switch {
	case o.to == "" && o.fromTar != "":
		return usageError{errors.New("--to is missing: name the registry that the images of --from-tar go to")}
	case (o.to == "") == (o.toTar == ""):
		return usageError{errors.New("name one place to copy to: --to REGISTRY/PATH, or --to-tar FILE")}
	case o.toTar != "" && (o.midstream != "" || o.pullSecret != "" || o.secretOfDockerConfig):
		return usageError{errors.New("--to-tar writes no midstream; name it and its pull Secret where --from-tar reads the file")}
	case o.toTar != "":
		return nil
	}
	host, _, _ := strings.Cut(o.to, "/")
	if _, err := distribution.WithName(o.to); err != nil || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return usageError{fmt.Errorf("--to %q: write a registry and a path in lower case, such as registry.example.com/apps", o.to)}
	}
	return nil
}
