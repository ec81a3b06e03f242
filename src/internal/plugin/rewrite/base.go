// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// baseMarker is the first line of a kustomization that this package wrote and keeps up to date.
const baseMarker = "# Written by kubectl lsp rewrite, and kept up to date while this line stands: every file with Kubernetes objects.\n"

// Base is what was found.
type Base struct {
	// Dir is absolute, without symbolic links.
	Dir string
	// Pods are the PodSpecs, Strangers are objects with containers elsewhere.
	Pods      []Pod
	Strangers []Stranger
	// ServiceAccounts are those with pull Secrets.
	ServiceAccounts []ServiceAccount
	// Fields are strings elsewhere with images in them.
	Fields []Field
	// Images are those of Pods, of Strangers and of Fields, each once, in the order of their names. Unsure are
	// those of Fields that need not be images.
	Images []Image
	Unsure []UnsureImage
	// NotImages stand where an image belongs, and are none.
	NotImages []NotImage
	// Installer are the objects that only an installer reads, and those that it would leave out.
	Installer []Unapplied
	// Application is what the base says about itself.
	Application Application
	// LeftOut are files that hold no Kubernetes objects, where the base has no kustomization of its own.
	LeftOut []string

	inContainers []Image
	objects      []*yaml.RNode // without Installer's
	keep         []FieldSelector
	names        names
}

// LoadBase reads and builds a base. The kustomization that it lacks is staged.
func LoadBase(ctx context.Context, s *Stage, dir string) (*Base, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("read the base: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("read the base: %s is not a directory", dir)
	}
	real, err := ResolvePath(dir)
	if err != nil {
		return nil, err
	}
	b := &Base{Dir: real}
	found, err := walk(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := b.kustomization(s, found); err != nil {
		return nil, err
	}
	objects, err := s.Build(ctx, real)
	if err != nil {
		return nil, found.explain(err)
	}
	if err := found.checkRendered(objects); err != nil {
		return nil, err
	}
	if err := b.read(objects); err != nil {
		return nil, fmt.Errorf("base %s: %w", dir, err)
	}
	if len(b.objects) == 0 {
		return nil, found.nothing()
	}
	b.Application, err = found.application(objects)
	return b, err
}

// kustomization stages the one that is missing or out of date.
func (b *Base) kustomization(s *Stage, found *files) error {
	path := filepath.Join(b.Dir, konfig.DefaultKustomizationFileName())
	if name := found.kustomization(); name != "" {
		text, err := os.ReadFile(filepath.Join(b.Dir, name))
		if err != nil {
			return fmt.Errorf("read the base: %w", err)
		}
		if !strings.HasPrefix(string(text), baseMarker) {
			return nil
		}
		path = filepath.Join(b.Dir, name)
	}
	resources, err := found.resources()
	if err != nil {
		return err
	}
	b.LeftOut, b.Installer = found.leftOut, found.installer
	text := baseMarker + "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	list, err := yaml.Marshal(map[string][]string{"resources": resources})
	if err != nil {
		return fmt.Errorf("write a kustomization for the base: %w", err)
	}
	return s.Put(path, append([]byte(text), list...), 0o644)
}

// read finds what matters in the built objects.
func (b *Base) read(objects []*yaml.RNode) (err error) {
	objects = b.setAside(objects)
	b.objects = objects
	if b.Pods, err = CollectPods(objects); err != nil {
		return err
	}
	if b.ServiceAccounts, err = CollectServiceAccounts(objects); err != nil {
		return err
	}
	b.Strangers = Strangers(objects)
	b.names = namesOf(objects)
	b.FindFields(FieldOptions{})
	return nil
}
