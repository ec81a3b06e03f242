// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// versionTimeout is how long the server may take to say its version: it is a detail of the answer.
const versionTimeout = 5 * time.Second

// versionOptions are those of "version".
type versionOptions struct {
	*app
	clientOnly bool
	output     format
}

// versions is the result of "version" for programs.
type versions struct {
	Client clientVersion `json:"clientVersion"`
	// Server is empty when it is not known.
	Server string `json:"serverVersion,omitempty"`
}

type clientVersion struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go,omitempty"`
}

func newVersion(a *app) *cobra.Command {
	o := &versionOptions{app: a}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of the proxy",
		Long: `Print the versions of this program and of the proxy.

The exit code is 0 also when the proxy does not answer. The reason is then on standard error.`,
		Example: "  kubectl lsp version\n  kubectl lsp version --client -o json",
		Args:    exactly(),
		RunE:    runVerb(o),
	}
	cmd.Flags().BoolVar(&o.clientOnly, "client", false, "print the version of this program only, and ask no server")
	a.addVia(cmd)
	o.output.addTo(cmd, "", "json", "yaml")
	return cmd
}

func (o *versionOptions) validate(*cobra.Command, []string) error { return o.output.validate() }

func (o *versionOptions) run(ctx context.Context) error {
	build := version.Get()
	result := versions{Client: clientVersion{build.Version, build.Commit, build.Go}}
	if !o.clientOnly {
		var err error
		if result.Server, err = o.ask(ctx); err != nil {
			o.say("The proxy's version is not known: %s", apiserver.OneLine(err.Error()))
		}
	}
	if o.output.value != "" {
		return o.output.print(o.app, result)
	}
	if err := o.line("Client: " + build.String()); err != nil || o.clientOnly {
		return err
	}
	if result.Server == "" {
		result.Server = "unknown"
	}
	return o.line("Server: " + result.Server)
}

// ask reads the Server header of the proxy's answer.
func (o *versionOptions) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	client, err := o.client(true)
	if err != nil {
		return "", err
	}
	defer client.CloseIdle()
	resp, err := client.Do(ctx, apiserver.Request{Method: http.MethodGet, Target: "/v2/"})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	found, _ := strings.CutPrefix(resp.Header.Get("Server"), "local-source-proxy/")
	return found, nil
}
