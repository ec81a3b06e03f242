// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// applyDetails are the flags of "workload apply" that the Apps CLI has under the same names.
type applyDetails struct {
	annotations, buildEnv, paramsYAML, serviceRefs   []string
	limitCPU, limitMemory, requestCPU, requestMemory string
}

func (d *applyDetails) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&d.annotations, "annotation", nil,
		"annotations to set (name=value,...) or remove (name-) on what the supply chain makes; may be repeated")
	flags.StringArrayVar(&d.buildEnv, "build-env", nil,
		"environment variable of the build to set (NAME=value) or remove (NAME-); may be repeated")
	flags.StringArrayVar(&d.paramsYAML, "param-yaml", nil,
		"parameter to set to a value in YAML (name=value) or remove (name-); may be repeated")
	flags.StringArrayVar(&d.serviceRefs, "service-ref", nil,
		"service to bind (name=apiVersion:kind:name) or to unbind (name-); may be repeated")
	flags.StringVar(&d.limitCPU, "limit-cpu", "", `limit of CPU, such as 500m ("" removes it)`)
	flags.StringVar(&d.limitMemory, "limit-memory", "", `limit of memory, such as 1Gi ("" removes it)`)
	flags.StringVar(&d.requestCPU, "request-cpu", "", `request of CPU, such as 100m ("" removes it)`)
	flags.StringVar(&d.requestMemory, "request-memory", "", `request of memory, such as 256Mi ("" removes it)`)
}

// validate turns the flags into the request.
func (d *applyDetails) validate(cmd *cobra.Command, r *workload.Request) error {
	for _, list := range []struct {
		flag   string
		values []string
		into   *[]workload.Change
	}{
		{"annotation", d.annotations, &r.Annotations}, {"build-env", d.buildEnv, &r.BuildEnv},
		{"param-yaml", d.paramsYAML, &r.ParamsYAML}, {"service-ref", d.serviceRefs, &r.ServiceRefs},
	} {
		for _, text := range list.values {
			change, err := workload.ParseChange(text)
			if err != nil {
				return usageError{errors.New("--" + list.flag + " " + err.Error())}
			}
			*list.into = append(*list.into, change)
		}
	}
	for _, quantity := range []struct {
		flag, name, value string
		into              *[]workload.Change
	}{
		{"limit-cpu", "cpu", d.limitCPU, &r.Limits}, {"limit-memory", "memory", d.limitMemory, &r.Limits},
		{"request-cpu", "cpu", d.requestCPU, &r.Requests}, {"request-memory", "memory", d.requestMemory, &r.Requests},
	} {
		if cmd.Flags().Changed(quantity.flag) {
			*quantity.into = append(*quantity.into, workload.Change{Name: quantity.name, Value: quantity.value})
		}
	}
	return nil
}
