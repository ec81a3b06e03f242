// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// Where a stream stands on the stage. There is no such directory on the disk, and nothing is written there.
const (
	streamDir  = "/kubectl-lsp-rewrite"
	streamFile = "manifests.yaml"
)

// hookAnnotation is what makes an object a hook of Helm's.
const hookAnnotation = "helm.sh/hook"

// firstHook is a weight ahead of all that charts use.
const firstHook = "-1000000"

// Stream is a base that is one text: what Helm renders, and "kubectl kustomize" prints.
type Stream struct {
	*Base
	// twins are the names of objects that are in the stream more than once, by the name that kustomize sees.
	twins map[string]string
}

// ReadStream takes in a stream and names it in errors.
func ReadStream(ctx context.Context, s *Stage, name string, in io.Reader) (*Stream, error) {
	content, err := io.ReadAll(io.LimitReader(in, maxBase+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(content) > maxBase:
		return nil, fmt.Errorf("%s has more than %d MiB", name, maxBase>>20)
	}
	docs, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("%s has no Kubernetes objects", name)
	}
	for _, doc := range docs {
		if value(doc, "apiVersion") == "" || value(doc, "kind") == "" {
			return nil, fmt.Errorf("%s: line %d: a document without apiVersion and kind", name, doc.Line)
		}
	}
	stream := &Stream{twins: map[string]string{}}
	if content, err = stream.tellApart(docs, content); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	dir, err := ResolvePath(filepath.Join(streamDir, "base"))
	if err != nil {
		return nil, err
	}
	if err := s.Put(filepath.Join(dir, streamFile), content, secretMode); err != nil {
		return nil, err
	}
	found := &files{dir: name, manifests: []manifest{{path: streamFile, docs: docs}}}
	if stream.Base, err = load(ctx, s, dir, found); err != nil {
		said := strings.NewReplacer(filepath.Join(dir, streamFile), name, filepath.Join(name, streamFile), name, dir, name)
		return nil, errors.New(said.Replace(err.Error()))
	}
	return stream, nil
}

// Dir is where the midstream of a stream is staged.
func (s *Stream) Dir() string { return filepath.Join(filepath.Dir(s.Base.Dir), "midstream") }

// tellApart renames objects that are there already, for kustomize, which takes each once. Helm 4 sends hooks
// and other objects in one stream, and they may have names in common.
func (s *Stream) tellApart(docs []*yaml.Node, content []byte) ([]byte, error) {
	seen := map[[4]string]bool{}
	for _, doc := range docs {
		metadata := strictyaml.Value(doc, "metadata")
		name := strictyaml.Value(metadata, "name")
		if name == nil || name.Kind != yaml.ScalarNode {
			continue
		}
		key := [4]string{value(doc, "apiVersion"), value(doc, "kind"), cmp.Or(value(metadata, "namespace"), "default"), name.Value}
		if !seen[key] {
			seen[key] = true
			continue
		}
		twin := fmt.Sprintf("%s-twin-%d", name.Value, len(s.twins)+1)
		s.twins[twin] = name.Value
		name.Value = twin
	}
	if len(s.twins) == 0 {
		return content, nil
	}
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	for _, doc := range docs {
		if err := encoder.Encode(doc); err != nil {
			return nil, fmt.Errorf("tell objects of one name apart: %w", err)
		}
	}
	return []byte(text.String()), encoder.Close()
}

// Rewritten is the stream as the plan has it, with the pull Secrets behind it.
func (s *Stream) Rewritten(ctx context.Context, stage *Stage, plan *Plan) ([]byte, error) {
	objects, err := stage.Build(ctx, plan.Dir)
	if err != nil {
		return nil, err
	}
	early, err := neededEarly(objects, plan.secretName())
	if err != nil {
		return nil, err
	}
	var all []byte
	for i, object := range objects {
		if name := s.twins[object.GetName()]; name != "" {
			err = object.SetName(name)
		}
		if early && object.GetKind() == "Secret" && object.GetName() == plan.secretName() {
			err = errors.Join(err, object.PipeE(kyaml.SetAnnotation(hookAnnotation, "pre-install,pre-upgrade,pre-rollback")),
				object.PipeE(kyaml.SetAnnotation(hookAnnotation+"-weight", firstHook)))
		}
		text, printErr := object.String()
		if err := errors.Join(err, printErr); err != nil {
			return nil, fmt.Errorf("print %s: %w", describe(object.GetKind(), object.GetNamespace(), object.GetName()), err)
		}
		if i > 0 {
			all = append(all, "---\n"...)
		}
		all = append(all, text...)
	}
	return all, nil
}

// neededEarly reports whether a hook that runs before Helm applies a release pulls with the Secret. The Secret
// has to be a hook itself then: Helm applies it too late otherwise.
func neededEarly(objects []*kyaml.RNode, secret string) (bool, error) {
	for _, object := range objects {
		if !strings.Contains(object.GetAnnotations()[hookAnnotation], "pre-") {
			continue
		}
		pods, err := CollectPods([]*kyaml.RNode{object})
		if err != nil {
			return false, err
		}
		for _, pod := range pods {
			if slices.Contains(pod.PullSecrets, secret) {
				return true, nil
			}
		}
	}
	return false, nil
}
