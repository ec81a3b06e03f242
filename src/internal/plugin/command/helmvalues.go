// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/base64"
	"errors"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

func newHelmValues(a *app) *cobra.Command {
	var license licenseFlags
	var output format
	cmd := &cobra.Command{
		Use:   "helm-values",
		Short: "Print Helm values that let a chart pull with the license",
		Long: `Print Helm values that let a chart pull with the license: global.replicated.dockerconfigjson, a docker config in base64
for the proxy's and the registry's domain, of which such charts make the Secret enterprise-pull-secret. "helm install -f -" takes
the output as it is. It holds the license: do not keep it in a file that others can read.`,
		Example: `  kubectl lsp helm-values --license-file acme.yaml --proxy-domain proxy.example.com |
    helm install my-app ./my-chart -f -`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			if err := errors.Join(output.check(), license.check()); err != nil {
				return err
			}
			return a.helmValues(&license, &output)
		},
	}
	license.addTo(cmd)
	output.addTo(cmd, "yaml", "json")
	return cmd
}

func (a *app) helmValues(flags *licenseFlags, output *format) error {
	customer, err := flags.load()
	if err != nil {
		return err
	}
	domain := flags.domain
	if domain == "" {
		domain = customer.Domain
	}
	if domain == "" {
		return usageError{errors.New("--proxy-domain is missing, and the license does not say it")}
	}
	for _, warning := range warnings(customer, "") {
		a.say("Warning: %s.", warning)
	}
	domains := []string{domain}
	if flags.registryDomain != "" {
		domains = append(domains, flags.registryDomain)
	}
	config, err := license.DockerConfig(customer.ID, domains...)
	if err != nil {
		return err
	}
	replicated := map[string]string{"dockerconfigjson": base64.StdEncoding.EncodeToString(config)}
	return output.print(a, map[string]any{"global": map[string]any{"replicated": replicated}})
}
