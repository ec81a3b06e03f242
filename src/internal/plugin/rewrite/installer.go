// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/kyaml/resid"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// Unapplied is an object that only an installer such as KOTS reads, or that it would leave out itself
// (https://docs.replicated.com/vendor/packaging-include-resources).
type Unapplied struct {
	resid.ResId
	// Why is empty for a kind that no cluster has, and else the annotation that leaves the object out.
	Why string
	// Built says that kustomize builds it, so that it has to be deleted from the outcome.
	Built bool
}

// forInstallers reports whether a kind is of no use in a cluster.
func forInstallers(group, kind string) bool {
	switch group {
	case "kots.io", "app.k8s.io", "embeddedcluster.replicated.com":
		return true
	case "velero.io":
		return kind == "Backup" // the rest is for Velero, this one is KOTS's snapshot
	default:
		return group == "kurl.sh" || strings.HasSuffix(group, ".kurl.sh") || strings.HasPrefix(group, "troubleshoot.")
	}
}

// notApplied says what becomes of an object that is not applied; nil: it is.
func notApplied(object *yaml.Node) *Unapplied {
	metadata := strictyaml.Value(object, "metadata")
	group, version := resid.ParseGroupVersion(value(object, "apiVersion"))
	kind := value(object, "kind")
	unapplied := Unapplied{ResId: resid.NewResIdWithNamespace(resid.NewGvk(group, version, kind),
		text(metadata, "name"), text(metadata, "namespace"))}
	if forInstallers(group, kind) {
		return &unapplied
	}
	annotations := strictyaml.Value(metadata, "annotations")
	for _, annotation := range []struct{ key, leavesOut string }{{"kots.io/exclude", "true"}, {"kots.io/when", "false"}} {
		if said := text(annotations, annotation.key); strings.EqualFold(said, annotation.leavesOut) {
			unapplied.Why = annotation.key + ": " + annotation.leavesOut
			return &unapplied
		}
	}
	return nil
}

// setAside takes what is not applied out of the built objects.
func (b *Base) setAside(objects []*kyaml.RNode) (applied []*kyaml.RNode) {
	for _, object := range objects {
		unapplied := notApplied(object.YNode())
		if unapplied == nil {
			applied = append(applied, object)
			continue
		}
		unapplied.Built = true
		b.Installer = append(b.Installer, *unapplied)
	}
	return applied
}

// warning is a sentence without its stop.
func (u Unapplied) warning() string {
	switch {
	case u.Why != "":
		return fmt.Sprintf("%s has the annotation %s and is left out of what is applied", describe(u.Kind, u.Namespace, u.Name), u.Why)
	case u.isChart():
		return fmt.Sprintf("%s %s (%s) is for installers and left out of what is applied: "+chartRemedy, u.Kind, u.Name, u.ApiVersion())
	default:
		return fmt.Sprintf("%s %s (%s) is for installers and left out of what is applied", u.Kind, u.Name, u.ApiVersion())
	}
}

func (u Unapplied) isChart() bool { return u.Group == "kots.io" && u.Kind == "HelmChart" }

// chartRemedy is what a customer does with a HelmChart object.
const chartRemedy = "install its chart with Helm and the values of kubectl lsp helm-values, or put what " +
	"helm template renders into the base"

// nothing is the error of a base without anything to apply.
func (f *files) nothing() error {
	var charts []string
	aside := 0
	for _, m := range f.manifests {
		for _, object := range m.objects() {
			unapplied := notApplied(object)
			if unapplied == nil {
				continue
			}
			aside++
			if unapplied.isChart() {
				add(&charts, unapplied.Name)
			}
		}
	}
	switch {
	case charts != nil:
		slices.Sort(charts)
		return fmt.Errorf("base %s has HelmChart objects (%s) and nothing that a cluster takes: for each of them, "+chartRemedy,
			f.dir, strings.Join(charts, ", "))
	case aside > 0:
		return fmt.Errorf("base %s has nothing but what an installer reads or leaves out: point --base at the application's manifests", f.dir)
	default:
		return fmt.Errorf("base %s has no Kubernetes objects", f.dir)
	}
}

// checkAlternatives refuses an object that is left out of a file and applied from another document: kustomize
// reads whole files, and takes no object twice.
func (f *files) checkAlternatives(listed []string) error {
	applied := map[resid.ResId]bool{}
	each := func(look func(m manifest, doc *yaml.Node) error) error {
		for _, m := range f.manifests {
			if !slices.Contains(listed, m.path) {
				continue
			}
			for _, doc := range m.objects() {
				if err := look(m, doc); err != nil {
					return err
				}
			}
		}
		return nil
	}
	_ = each(func(_ manifest, doc *yaml.Node) error {
		if notApplied(doc) == nil {
			applied[idOf(doc)] = true
		}
		return nil
	})
	return each(func(m manifest, doc *yaml.Node) error {
		if unapplied := notApplied(doc); unapplied != nil && applied[idOf(doc)] {
			return f.error(m, fmt.Errorf("line %d: %s %s is left out here (%s) and there in another document: "+
				"put this one into a file of its own", doc.Line, unapplied.Kind, unapplied.Name, unapplied.Why))
		}
		return nil
	})
}

func idOf(doc *yaml.Node) resid.ResId {
	metadata := strictyaml.Value(doc, "metadata")
	group, _ := resid.ParseGroupVersion(value(doc, "apiVersion"))
	return resid.ResId{Gvk: resid.Gvk{Group: group, Kind: value(doc, "kind")}, Name: text(metadata, "name"),
		Namespace: text(metadata, "namespace")}
}

// generateName is what an object's name begins with, when the API server is to make it; else empty.
func generateName(object *yaml.Node) string {
	return text(strictyaml.Value(object, "metadata"), "generateName")
}
