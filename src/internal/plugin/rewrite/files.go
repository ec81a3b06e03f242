// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// The files beside the kustomization, which are written anew each time.
const (
	// SecretFile holds the license: it is readable by its owner only, and does not belong into version
	// control.
	SecretFile  = "pull-secret.yaml"
	patchesFile = "patches.yaml"
	fieldsFile  = "image-fields.yaml"
)

const (
	marker     = "# Written by kubectl lsp rewrite"
	publicMode = 0o644
	secretMode = 0o600
)

// Stage stages the midstream. overridden are the names of images that the user's own entries rename
// otherwise.
func (p *Plan) Stage(s *Stage) (overridden []string, err error) {
	dir, err := ResolvePath(p.Dir)
	if err != nil {
		return nil, err
	}
	if dir == p.Base.Dir || strings.HasPrefix(dir, p.Base.Dir+string(filepath.Separator)) {
		return nil, fmt.Errorf("the midstream %s lies inside the base, where kustomize cannot build it; choose another place", p.Dir)
	}
	if err := p.settle(); err != nil {
		return nil, err
	}
	secret, err := p.secret()
	if err != nil {
		return nil, err
	}
	patches, err := p.patches()
	if err != nil {
		return nil, err
	}
	fields, err := p.fields()
	if err != nil {
		return nil, err
	}
	policy, err := p.policy()
	if err != nil {
		return nil, err
	}
	for _, file := range []struct {
		name, purpose string
		content       []byte
		mode          fs.FileMode
	}{
		{SecretFile, "It holds the license: keep it secret.", secret, secretMode},
		{patchesFile, "It adds the pull Secret to what uses a private image, and leaves out what only an installer reads.", patches, publicMode},
		{fieldsFile, "It tells kustomize of images where it does not look by itself.", fields, publicMode},
		{policyFile, policyPurpose, policy, publicMode},
	} {
		if err := p.put(s, file.name, file.purpose, file.content, file.mode); err != nil {
			return nil, err
		}
	}
	return p.kustomization(s, dir, map[string]bool{
		patchesFile: len(patches) > 0, fieldsFile: len(fields) > 0, policyFile: len(policy) > 0,
	})
}

// put stages a file of ours, or its end when it has no content; a file of somebody else is never replaced.
func (p *Plan) put(s *Stage, name, purpose string, content []byte, mode fs.FileMode) error {
	path := filepath.Join(p.Dir, name)
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the midstream: %w", err)
	}
	if err == nil && !bytes.HasPrefix(before, []byte(marker)) {
		return fmt.Errorf("%s is not from kubectl lsp rewrite; move it away", path)
	}
	if len(content) == 0 {
		return s.Remove(path)
	}
	return s.Put(path, append([]byte(marker+", anew each time. "+purpose+"\n"), content...), mode)
}

// kustomization edits the user's file, or makes it. written says which of our files there are.
func (p *Plan) kustomization(s *Stage, dir string, written map[string]bool) ([]string, error) {
	path := filepath.Join(p.Dir, konfig.DefaultKustomizationFileName())
	var content []byte
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		before, err := os.ReadFile(filepath.Join(p.Dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("read the midstream: %w", err)
		case content != nil:
			return nil, fmt.Errorf("%s has more than one kustomization; keep one of them", p.Dir)
		}
		path, content = filepath.Join(p.Dir, name), before
	}
	k, err := parseKustomization(path, content)
	if err != nil {
		return nil, err
	}
	base, err := filepath.Rel(dir, p.Base.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the way from the midstream to the base: %w", err)
	}
	base = filepath.ToSlash(base)
	if !k.holds("bases", base) { // its name of long ago
		k.hold("resources", base, true)
	}
	k.hold("resources", SecretFile, true)
	k.hold("resources", policyFile, written[policyFile])
	k.hold("configurations", fieldsFile, written[fieldsFile])
	k.holdPatch(patchesFile, written[patchesFile])
	p.overridden = k.setImages(p.entries(), p.ours)
	component, err := p.stageComponent(s)
	if err != nil {
		return nil, err
	}
	k.hold("components", componentDir, component)
	if content, err = k.bytes(); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return p.overridden, s.Put(path, content, publicMode)
}

// secret is the pull Secret in each namespace.
func (p *Plan) secret() ([]byte, error) {
	domains := []string{p.Proxy.Domain}
	if p.RegistryDomain != "" {
		domains = append(domains, p.RegistryDomain)
	}
	var docs []any
	for _, namespace := range p.Namespaces() {
		secret, err := license.PullSecret(p.Proxy.App, p.LicenseID, domains...)
		if err != nil {
			return nil, err
		}
		secret.Namespace = namespace
		docs = append(docs, secret)
	}
	return documents(docs)
}

// patches are strategic merges, which add to imagePullSecrets by name and keep what is there.
func (p *Plan) patches() ([]byte, error) {
	var docs []any
	for _, pod := range p.needSecret() {
		if !pod.Custom {
			docs = append(docs, p.addSecret(pod))
		}
	}
	for _, object := range p.Base.Installer {
		if !object.Built {
			continue
		}
		patch := header(object.ApiVersion(), object.Kind, object.Namespace, object.Name)
		patch["$patch"] = "delete"
		docs = append(docs, patch)
	}
	return documents(docs)
}

func (p *Plan) addSecret(pod Pod) map[string]any {
	var secrets []any
	for _, name := range p.pullSecrets(pod) {
		secrets = append(secrets, map[string]any{"name": name})
	}
	value := map[string]any{"imagePullSecrets": secrets}
	for i := len(pod.Spec) - 1; i > 0; i-- {
		value = map[string]any{pod.Spec[i]: value}
	}
	patch := header(pod.APIVersion, pod.Kind, pod.Namespace, pod.Name)
	patch[pod.Spec[0]] = value
	return patch
}

func header(apiVersion, kind, namespace, name string) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
}

// fields are where kustomize has to look for images beside containers and initContainers; none when no image
// there is renamed.
func (p *Plan) fields() ([]byte, error) {
	renamed := p.renamed()
	uncommon := map[string]bool{}
	for _, pod := range p.Base.Pods {
		for _, image := range pod.Uncommon {
			uncommon[image] = true
		}
	}
	needed := false
	for _, image := range p.Base.Images {
		needed = needed || uncommon[image.Written] && renamed[image.Repository]
	}
	if !needed {
		return nil, nil
	}
	var specs []any
	for _, spec := range []string{"spec", "spec/template/spec", "spec/jobTemplate/spec/template/spec", "template/spec"} {
		for _, field := range []string{"ephemeralContainers[]/image", "volumes[]/image/reference"} {
			specs = append(specs, map[string]any{"path": spec + "/" + field, "create": true})
		}
	}
	return yaml.Marshal(map[string]any{"images": specs})
}

// documents writes a YAML stream; nothing is no stream.
func documents(docs []any) ([]byte, error) {
	var all []byte
	for i, doc := range docs {
		text, err := yaml.Marshal(doc)
		if err != nil {
			return nil, fmt.Errorf("write the midstream: %w", err)
		}
		if i > 0 {
			all = append(all, "---\n"...)
		}
		all = append(all, text...)
	}
	return all, nil
}
