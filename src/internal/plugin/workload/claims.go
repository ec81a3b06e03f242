// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"fmt"
)

// claimsAnnotation is where the Apps CLI keeps the namespaces of services in other namespaces: the Workload's
// own field has no place for them.
const claimsAnnotation = "serviceclaims.supplychain.apps.x-tanzu.vmware.com/extensions"

// claims is the annotation's content. The order of its fields is the Apps CLI's.
type claims struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Spec       struct {
		ServiceClaims map[string]claim `json:"serviceClaims"`
	} `json:"spec"`
}

type claim struct {
	Namespace string `json:"namespace"`
}

// claimNamespace notes the namespace of a service; an empty one is the Workload's own, and noted nowhere.
func (w edit) claimNamespace(name, namespace string) error {
	annotations := w.GetAnnotations()
	text, found := annotations[claimsAnnotation]
	if namespace == "" && !found {
		return nil
	}
	all := claims{Kind: "ServiceClaimsExtension", APIVersion: "supplychain.apps.x-tanzu.vmware.com/v1alpha1"}
	if found {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return fmt.Errorf("--service-ref %s: read the annotation %s: %w", name, claimsAnnotation, err)
		}
	}
	if all.Spec.ServiceClaims == nil {
		all.Spec.ServiceClaims = map[string]claim{}
	}
	delete(all.Spec.ServiceClaims, name)
	if namespace != "" {
		all.Spec.ServiceClaims[name] = claim{namespace}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	if len(all.Spec.ServiceClaims) == 0 {
		delete(annotations, claimsAnnotation)
	} else {
		raw, err := json.Marshal(all)
		if err != nil {
			return fmt.Errorf("--service-ref %s: %w", name, err)
		}
		annotations[claimsAnnotation] = string(raw)
	}
	w.SetAnnotations(annotations)
	return nil
}
