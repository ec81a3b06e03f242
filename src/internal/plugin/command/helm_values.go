// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// helmValuesOptions are those of "helm-values".
type helmValuesOptions struct {
	*app
	license customerLicenseFlags
	output  format
}

func newHelmValues(a *app) *cobra.Command {
	o := &helmValuesOptions{app: a}
	cmd := &cobra.Command{
		Use:   "helm-values",
		Short: "Print Helm values that let a chart pull with the license",
		Long: `Print Helm values that let a chart pull with the license.

The value is global.replicated.dockerconfigjson: a docker config in base64 for the proxy's and the registry's
domain. Charts make the Secret enterprise-pull-secret of it. "helm install -f -" reads the output as it is.

The output holds the license. Do not keep it in a file that others can read.`,
		Example: `  kubectl lsp helm-values --license-file acme.yaml --proxy-domain proxy.example.com |
    helm install my-app ./my-chart -f -`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	o.license.addTo(cmd)
	o.output.addTo(cmd, "yaml", "json")
	return cmd
}

func (o *helmValuesOptions) validate(*cobra.Command, []string) error {
	return errors.Join(o.output.validate(), o.license.validate())
}

func (o *helmValuesOptions) run(context.Context) error {
	customer, err := o.license.load()
	if err != nil {
		return err
	}
	domain := o.license.domain
	if domain == "" {
		domain = customer.Domain
	}
	if domain == "" {
		return usageError{errors.New("--proxy-domain is missing, and the license does not name it")}
	}
	for _, warning := range licenseWarnings(customer, "") {
		o.say("Warning: %s.", warning)
	}
	domains := []string{domain}
	if o.license.registryDomain != "" {
		domains = append(domains, o.license.registryDomain)
	}
	config, err := license.DockerConfig(customer.ID, domains...)
	if err != nil {
		return err
	}
	replicated := map[string]string{"dockerconfigjson": base64.StdEncoding.EncodeToString(config)}
	return o.output.print(o.app, map[string]any{"global": map[string]any{"replicated": replicated}})
}
