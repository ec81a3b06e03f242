// SPDX-License-Identifier: Apache-2.0

// Package secretgen says what secretgen-controller makes of SecretExports, SecretImports and placeholder
// Secrets.
//
// The controller cannot be had as a Go module, so its rules are written down again, from its sources at
// github.com/carvel-dev/secretgen-controller, commit 1d918c9611fc (pkg/sharing):
//
//   - secret_exports.go: which export matches a namespace, and the order of several;
//   - dockerconfigjson.go: several docker configs become one, and the last one wins a host;
//   - secret_reconciler.go: a Secret with [Placeholder] gets every docker config that is exported to its
//     namespace, whatever it is for;
//   - secret_import_reconciler.go, secret_export_reconciler.go: a SecretImport gets the one Secret of its name,
//     and the reasons of both.
//
// Selectors of namespaces (dangerousToNamespacesSelector) are left out: the package has none.
package secretgen

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// The names that the controller goes by.
const (
	Placeholder  = "secretgen.carvel.dev/image-pull-secret"
	Weight       = "secretgen.carvel.dev/weight"
	DockerConfig = "kubernetes.io/dockerconfigjson"
	dockerKey    = ".dockerconfigjson"
)

// The reasons in the condition ReconcileFailed.
var (
	ErrNoSecret = errors.New("Missing exported secret")   //nolint:staticcheck // in the controller's words
	ErrNoExport = errors.New("No matching export/secret") //nolint:staticcheck // in the controller's words
)

// Secret is what counts of a Secret.
type Secret struct {
	Namespace, Name, Type string
	Data                  map[string][]byte
}

// Export is a SecretExport.
type Export struct {
	Namespace, Name string
	// To are its namespaces; "*" stands for all.
	To []string
	// Weight is the annotation's text, empty without one.
	Weight string
}

// Cluster holds the Secrets and exports of all namespaces.
type Cluster struct {
	Secrets []Secret
	Exports []Export
	// Excluded are the namespaces with the annotation that keeps "*" away from them.
	Excluded []string
}

// Exported returns the Secret that an export offers, or [ErrNoSecret].
func (c Cluster) Exported(export Export) (Secret, error) {
	for _, secret := range c.Secrets {
		if secret.Namespace == export.Namespace && secret.Name == export.Name {
			return secret, nil
		}
	}
	return Secret{}, ErrNoSecret
}

// Imported returns what a SecretImport called name gets, or [ErrNoExport].
func (c Cluster) Imported(namespace, name, from string) (Secret, error) {
	for _, export := range c.Exports {
		if export.Name != name || export.Namespace != from || !c.offers(export, namespace) {
			continue
		}
		if secret, err := c.Exported(export); err == nil {
			return secret, nil
		}
	}
	return Secret{}, ErrNoExport
}

// Combined returns the docker config of a placeholder Secret in the namespace.
func (c Cluster) Combined(namespace string) ([]byte, error) {
	type config struct {
		Auths map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
			Auth     string `json:"auth"`
		} `json:"auths"`
	}
	exports := slices.DeleteFunc(slices.Clone(c.Exports), func(export Export) bool { return !c.offers(export, namespace) })
	slices.SortFunc(exports, func(a, b Export) int { return c.preference(a, b, namespace) })
	var all config
	for _, export := range exports {
		secret, err := c.Exported(export)
		if err != nil || secret.Type != DockerConfig {
			continue
		}
		// Entries are added to the same map: a later one takes the place of an earlier one for its host.
		if err := json.Unmarshal(secret.Data[dockerKey], &all); err != nil {
			return nil, fmt.Errorf("unmarshaling secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
	}
	if all.Auths == nil {
		return []byte(`{"auths":{}}`), nil
	}
	return json.Marshal(all)
}

// offers says that an export reaches the namespace, by its name or by "*".
func (c Cluster) offers(export Export, namespace string) bool {
	return slices.Contains(export.To, namespace) ||
		slices.Contains(export.To, "*") && !slices.Contains(c.Excluded, namespace)
}

// preference orders exports to the namespace, the most preferred one last.
func (c Cluster) preference(a, b Export, namespace string) int {
	weight := func(export Export) float64 {
		parsed, err := strconv.ParseFloat(export.Weight, 64)
		if err != nil {
			return 0
		}
		return parsed
	}
	rank := func(holds bool) int {
		if holds {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(weight(a), weight(b)),
		cmp.Compare(rank(a.Namespace == namespace), rank(b.Namespace == namespace)),
		cmp.Compare(rank(slices.Contains(a.To, namespace)), rank(slices.Contains(b.To, namespace))),
		cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name),
	)
}
