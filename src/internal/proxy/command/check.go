// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
)

func checkCommand() *cobra.Command {
	var checks proxy.Checks
	var output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try the way of a push or pull step by step, and name the step that fails",
		Long: `Check reads the settings and tries the way of a push: DNS, connection, TLS, greeting, token, and an upload that it
starts and cancels. It pushes nothing. It stops at the first step that fails, says what to do, and exits with 1.

With --image-proxy-dir it judges each license and registry of the image proxy, and asks each registry whether it takes
its credential. --image tries to pull an image as well, named as customers name it or from the registry on. It exits
with 1 when anything is wrong. A license that has ended is not wrong.

In the container of a server, and without flags that say otherwise, it checks what the server was given.`,
		Example: `  local-source-proxy check --values-file values.yml --docker-config ~/.docker/config.json

  # the objects of the image proxy, such as in CI; and two images
  local-source-proxy check --image-proxy-dir licenses/
  local-source-proxy check --image-proxy-dir licenses/ --image quay.io/team/api:v1.0.1 --image quay.io/team/web:v1.0.1

  # in a cluster
  kubectl exec -n tap-local-source-system deploy/local-source-proxy -- /ko-app/local-source-proxy check`,
		Args: noArguments,
	}
	settingsFlags(cmd.Flags(), &checks.Sources)
	cmd.Flags().StringVar(&checks.ImagesDir, "image-proxy-dir", "",
		"`directory` of YAML files with licenses and registries")
	cmd.Flags().StringArrayVar(&checks.ImageNames, "image", nil,
		"`image` to pull through the image proxy's registries; may be repeated")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, or json: one object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report, err := reporter(cmd.OutOrStdout(), output)
		if err != nil {
			return usageError{err}
		}
		checks.Images = cmd.Flags().Changed("image-proxy-dir")
		if checks.Images && checks.ImagesDir == "" {
			return usageError{errors.New("--image-proxy-dir is empty: name the directory with licenses and registries")}
		}
		checks.Push = given(cmd.Flags()) || !checks.Images
		if !given(cmd.Flags()) && !checks.Images {
			if found, ok := served(os.DirFS("/")); ok {
				found.ImageNames = checks.ImageNames
				checks = found
			}
		}
		err = proxy.Check(cmd.Context(), checks, report)
		if errors.Is(err, preflight.ErrFailed) {
			return reported{err}
		}
		return err
	}
	return cmd
}

// reporter writes steps for people or for machines.
func reporter(w io.Writer, output string) (func(diagnosis.Step), error) {
	switch output {
	case "text":
		return func(s diagnosis.Step) {
			_ = s.Print(w) // nobody is left to tell that the output is closed
		}, nil
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return func(s diagnosis.Step) { _ = encoder.Encode(s) }, nil
	default:
		return nil, fmt.Errorf("--output is %q: it can be text or json", output)
	}
}
