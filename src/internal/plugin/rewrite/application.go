// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// Application is what the manifests of kots.io/v1beta1 say about where an application runs and where its
// images come from.
type Application struct {
	// Domain is the proxy's, RegistryDomain that of the vendor's own registry; empty where nothing says.
	Domain, RegistryDomain string
	// ProxyPublicImages says that public images go through the proxy too.
	ProxyPublicImages bool
	// Namespaces are the additional ones, sorted.
	Namespaces []string
	// Everywhere says that the application may run in namespaces that do not exist yet ("*").
	Everywhere bool
}

// application reads every Application that kustomize built or that lies in the base: an installer finds
// those, whether or not the base's own kustomization lists them.
func (f *files) application(built []*kyaml.RNode) (Application, error) {
	var all Application
	for _, object := range built {
		if err := all.add(object.YNode()); err != nil {
			return all, fmt.Errorf("base %s: Application %s: %w", f.dir, object.GetName(), err)
		}
	}
	for _, m := range f.manifests {
		for _, doc := range m.docs {
			if err := all.add(doc); err != nil {
				return all, f.error(m, fmt.Errorf("line %d: Application: %w", doc.Line, err))
			}
		}
	}
	slices.Sort(all.Namespaces)
	all.Namespaces = slices.Compact(all.Namespaces)
	return all, nil
}

// add takes in one object, if it is an Application.
func (a *Application) add(object *yaml.Node) error {
	if value(object, "apiVersion") != "kots.io/v1beta1" || value(object, "kind") != "Application" {
		return nil
	}
	var application struct {
		Spec struct {
			AdditionalNamespaces     []string `yaml:"additionalNamespaces"`
			ProxyRegistryDomain      string   `yaml:"proxyRegistryDomain"`
			ReplicatedRegistryDomain string   `yaml:"replicatedRegistryDomain"`
			ProxyPublicImages        bool     `yaml:"proxyPublicImages"`
		} `yaml:"spec"`
	}
	if err := object.Decode(&application); err != nil {
		return errors.New(strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "))
	}
	spec := application.Spec
	a.ProxyPublicImages = a.ProxyPublicImages || spec.ProxyPublicImages
	for _, domain := range []struct {
		field, value string
		into         *string
	}{
		{"spec.proxyRegistryDomain", spec.ProxyRegistryDomain, &a.Domain},
		{"spec.replicatedRegistryDomain", spec.ReplicatedRegistryDomain, &a.RegistryDomain},
	} {
		if domain.value == "" {
			continue
		}
		if err := license.CheckDomain(domain.value); err != nil {
			return fmt.Errorf("%s %q %w", domain.field, domain.value, err)
		}
		if *domain.into != "" && *domain.into != domain.value {
			return fmt.Errorf("%s is %s here and %s in another; keep one of them", domain.field, domain.value, *domain.into)
		}
		*domain.into = domain.value
	}
	for _, namespace := range spec.AdditionalNamespaces {
		if namespace == "*" {
			a.Everywhere = true
			continue
		}
		if len(validation.IsDNS1123Label(namespace)) > 0 {
			return fmt.Errorf("spec.additionalNamespaces: %q cannot be a namespace", namespace)
		}
		a.Namespaces = append(a.Namespaces, namespace)
	}
	return nil
}
