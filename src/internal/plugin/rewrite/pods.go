// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"

	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Pod is a PodSpec, and the object that has it.
type Pod struct {
	APIVersion, Kind, Namespace, Name string
	// Spec is where the PodSpec is in the object; an element of a list has its index there.
	Spec []string
	// Custom says that Kubernetes itself does not have the kind: the PodSpec was found by its form.
	Custom bool
	// Images are those of all containers and of image volumes, in their order, each once.
	Images []string
	// Uncommon are those of Images that kustomize's image transformer does not reach by itself in every
	// version: of ephemeral containers and image volumes.
	Uncommon []string
	// PullSecrets are the names in imagePullSecrets.
	PullSecrets []string
	// ServiceAccount is the one it names; empty: the namespace's default.
	ServiceAccount string
}

// String is how a Pod is called in messages.
func (p Pod) String() string { return describe(p.Kind, p.Namespace, p.Name) }

func describe(kind, namespace, name string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + name + " in namespace " + namespace
}

// specOf is where the kind has its PodSpec; nil: nowhere.
func specOf(group, kind string) []string {
	template := []string{"spec", "template", "spec"}
	switch group + "/" + kind {
	case "/Pod":
		return []string{"spec"}
	case "/PodTemplate":
		return []string{"template", "spec"}
	case "/ReplicationController", "batch/Job",
		"apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet",
		"extensions/Deployment", "extensions/DaemonSet", "extensions/ReplicaSet":
		return template
	case "batch/CronJob":
		return append([]string{"spec", "jobTemplate"}, template...)
	default:
		return nil
	}
}

func group(object *yaml.RNode) string {
	group, _ := resid.ParseGroupVersion(object.GetApiVersion())
	return group
}

// CollectPods returns the Pods among objects. Lists are to be unpacked before, as kustomize does.
func CollectPods(objects []*yaml.RNode) ([]Pod, error) {
	var pods []Pod
	for _, object := range objects {
		pod := Pod{
			APIVersion: object.GetApiVersion(), Kind: object.GetKind(), Namespace: object.GetNamespace(),
			Name: object.GetName(), Spec: specOf(group(object), object.GetKind()),
		}
		if pod.Spec == nil {
			pods = append(pods, customPods(pod, object)...)
			continue
		}
		if err := pod.read(object); err != nil {
			return nil, fmt.Errorf("%s: %w", pod, err)
		}
		pods = append(pods, pod)
	}
	return pods, nil
}
