// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Annotation holds the image that the proxy set, and is there exactly as long as the source is the proxy's.
const Annotation = "local-source-proxy.apps.tanzu.vmware.com"

// Labels that have a flag of their own.
const (
	TypeLabel   = "apps.tanzu.vmware.com/workload-type"
	PartOfLabel = "app.kubernetes.io/part-of"
)

// DefaultType is the type of a new Workload without one.
const DefaultType = "web"

// Resource is where Workloads are found, Kind what they are.
func Resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "carto.run", Version: "v1alpha1", Resource: "workloads"}
}

// Git is a repository to build from. What is empty is kept from the existing Workload.
type Git struct{ URL, Branch, Tag, Commit string }

// Request is what the developer asked for. Empty fields ask for nothing.
type Request struct {
	Namespace, Name string
	// LocalPath is a tree to push; SourceImage, Git and Image are the other kinds of source.
	LocalPath   string
	SourceImage string
	Git         Git
	Image       string
	// SubPath is the application's directory in the source; nil keeps it, empty removes it.
	SubPath *string
	// Labels, Env and Params are changes in order; an empty value with Remove takes one away.
	Labels, Env, Params []Change
	// BuildEnv is for the build alone. Annotations end up on what the supply chain makes, through the
	// parameter that the Apps CLI uses for them.
	BuildEnv, Annotations []Change
	// ParamsYAML are parameters whose values are YAML.
	ParamsYAML []Change
	// ServiceRefs bind services: "apiVersion:kind:name" by the name of the binding.
	ServiceRefs []Change
	// Limits and Requests are quantities, by "cpu" and "memory".
	Limits, Requests []Change
	// ServiceAccount is set; nil keeps it, empty removes it.
	ServiceAccount *string
}

// Change sets or removes one named value.
type Change struct {
	Name, Value string
	Remove      bool
}

// ParseChange reads "name=value" or "name-", as kubectl does for labels.
func ParseChange(text string) (Change, error) {
	if name, value, ok := strings.Cut(text, "="); ok && name != "" {
		return Change{Name: name, Value: value}, nil
	}
	if name, ok := strings.CutSuffix(text, "-"); ok && name != "" {
		return Change{Name: name, Remove: true}, nil
	}
	return Change{}, fmt.Errorf("%q: write name=value to set one, name- to remove it", text)
}

// Route is the way that local source takes.
type Route int

// NoPush has nothing to push. ThroughProxy pushes through Local Source Proxy. Straight pushes to the
// developer's own repository with the developer's own credential.
const (
	NoPush Route = iota
	ThroughProxy
	Straight
)

// Plan is a decision.
type Plan struct {
	Route Route
	// Destination is the image to push to, with Straight.
	Destination string
	// Why is for the developer, in half a sentence.
	Why string
}

// ErrConflict says that two kinds of source were asked for at once.
var ErrConflict = errors.New("name one source only")

// Decide applies the bypass rules (spec-local-source-proxy, "Bypass"). existing may be nil.
func Decide(existing *unstructured.Unstructured, r Request) (Plan, error) {
	if err := conflicts(r); err != nil {
		return Plan{}, err
	}
	if r.LocalPath == "" {
		return Plan{Route: NoPush}, nil
	}
	if r.SourceImage != "" {
		return Plan{Straight, r.SourceImage, "--source-image is given"}, nil
	}
	if existing == nil {
		return Plan{Route: ThroughProxy, Why: "the Workload is new"}, nil
	}
	if _, ours := existing.GetAnnotations()[Annotation]; ours {
		return Plan{Route: ThroughProxy, Why: "the Workload's source came through the proxy before"}, nil
	}
	image, _, _ := unstructured.NestedString(existing.Object, "spec", "source", "image")
	if image == "" {
		return Plan{Route: ThroughProxy, Why: "the Workload has no source image yet"}, nil
	}
	destination, _, _ := strings.Cut(image, "@")
	return Plan{Straight, destination, "the Workload has a source image that the proxy did not set"}, nil
}

func conflicts(r Request) error {
	git := r.Git != Git{}
	switch {
	case git && r.LocalPath != "":
		return fmt.Errorf("--local-path and --git-*: %w", ErrConflict)
	case git && r.SourceImage != "":
		return fmt.Errorf("--source-image and --git-*: %w", ErrConflict)
	case r.Image != "" && (git || r.LocalPath != "" || r.SourceImage != ""):
		return fmt.Errorf("--image and another source: %w", ErrConflict)
	}
	return nil
}

// ErrNoGit says that a branch, tag or commit has no repository.
var ErrNoGit = errors.New("--git-branch, --git-tag and --git-commit need --git-repo, or a Workload that has one")

// ErrNoRef says that a repository has no branch, tag or commit.
var ErrNoRef = errors.New("--git-repo needs one of --git-branch, --git-tag and --git-commit")

// Build returns the Workload as it should be. pushed is the reference that Decide's plan led to, empty when
// nothing was pushed. existing is not changed.
func Build(
	existing *unstructured.Unstructured, r Request, plan Plan, pushed string,
) (*unstructured.Unstructured, error) {
	w := edit{fresh(r.Namespace, r.Name)}
	if existing != nil {
		w.Unstructured = existing.DeepCopy()
	}
	if err := w.source(r, plan, pushed); err != nil {
		return nil, err
	}
	if r.SubPath != nil {
		if err := w.set(*r.SubPath, "spec", "source", "subPath"); err != nil {
			return nil, err
		}
	}
	w.labels(r.Labels)
	if err := w.details(r); err != nil {
		return nil, err
	}
	if r.ServiceAccount != nil {
		if err := w.set(*r.ServiceAccount, "spec", "serviceAccountName"); err != nil {
			return nil, err
		}
	}
	w.tidy()
	return w.Unstructured, nil
}
