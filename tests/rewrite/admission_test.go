// SPDX-License-Identifier: Apache-2.0

package rewrite_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// admitter is the part of the real API server in which admission policies run. Everything around it is a
// double: what is stored, who may do what, and the schemas.
type admitter struct {
	plugin     *mutating.Plugin
	interfaces admission.ObjectInterfaces
}

// schemas has the API's own in place of a server's.
type schemas struct{ discovery.DiscoveryInterfaces }

func (schemas) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

type client struct{ *fake.Clientset }

func (c client) Discovery() discovery.DiscoveryInterfaces {
	return schemas{c.Clientset.Discovery()}
}

type everybody struct{}

func (everybody) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
}

// policiesIn are the policies and bindings in a stream of manifests, which must have no field that the API
// does not, with the defaults that an API server sets.
func policiesIn(t *testing.T, manifests string) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := admissionv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	everything, equivalent := &metav1.LabelSelector{}, admissionv1.Equivalent
	var found []runtime.Object
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		if !strings.Contains(document, "kind: MutatingAdmissionPolicy") {
			continue
		}
		object, _, err := decoder.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		resources := &admissionv1.MatchResources{}
		switch o := object.(type) {
		case *admissionv1.MutatingAdmissionPolicy:
			resources = o.Spec.MatchConstraints
		case *admissionv1.MutatingAdmissionPolicyBinding:
			resources = o.Spec.MatchResources
		}
		resources.MatchPolicy, resources.ObjectSelector = &equivalent, everything
		if resources.NamespaceSelector == nil {
			resources.NamespaceSelector = everything
		}
		found = append(found, object)
	}
	return found
}

// newAdmitter has the policies of some manifests in force.
func newAdmitter(t *testing.T, manifests string) *admitter {
	t.Helper()
	objects := policiesIn(t, manifests)
	if len(objects) != 2 {
		t.Fatalf("%d policies and bindings in\n%s", len(objects), manifests)
	}
	for _, name := range []string{"shop", "workers", "elsewhere"} {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/metadata.name": name}}})
	}
	plugin, err := mutating.NewPlugin(nil)
	if err != nil {
		t.Fatal(err)
	}
	var api kubernetes.Interface = client{fake.NewClientset(objects...)}
	factory := informers.NewSharedInformerFactory(api, 0)
	plugin.SetEnabled(true)
	plugin.SetExternalKubeClientSet(api)
	plugin.SetExternalKubeInformerFactory(factory)
	plugin.SetRESTMapper(meta.NewDefaultRESTMapper(nil))
	plugin.SetDynamicClient(dynamicfake.NewSimpleDynamicClient(runtime.NewScheme()))
	plugin.SetUnconditionalAuthorizer(everybody{})
	ctx, cancel := context.WithCancel(context.Background())
	plugin.SetDrainedNotification(ctx.Done())
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	t.Cleanup(func() {
		cancel()
		factory.Shutdown()
	})
	scheme := runtime.NewScheme()
	err = corev1.AddToScheme(scheme)
	if err == nil {
		err = scheme.AddConversionFunc((*corev1.Pod)(nil), (*corev1.Pod)(nil), func(from, to any, _ conversion.Scope) error {
			from.(*corev1.Pod).DeepCopyInto(to.(*corev1.Pod))
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	a := &admitter{plugin, admission.NewObjectInterfacesFromScheme(scheme)}
	a.await(t)
	return a
}

// await waits until the policy and the schemas have arrived.
func (a *admitter) await(t *testing.T) {
	t.Helper()
	probe := func() error {
		pod := podOf("shop", "proxy.example.com/proxy/probe:1")
		if err := a.admit(pod, nil, ""); err != nil {
			return err
		}
		if len(pod.Spec.ImagePullSecrets) == 0 {
			return fmt.Errorf("the policy does nothing: %v", pod.Spec)
		}
		return nil
	}
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, harness.Patience, true, func(context.Context) (bool, error) {
		last = probe()
		return last == nil, nil
	})
	if err != nil {
		t.Fatal(err, last)
	}
}

// admit does to a Pod what the API server does when it is made, or, with the one before, changed.
func (a *admitter) admit(pod, before *corev1.Pod, subresource string) error {
	kind, resource := corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithResource("pods")
	operation, old := admission.Create, runtime.Object(nil)
	if before != nil {
		operation, old = admission.Update, before
	}
	return a.plugin.Admit(context.Background(), admission.NewAttributesRecord(pod, old, kind, pod.Namespace, pod.Name, resource, subresource,
		operation, nil, false, nil), a.interfaces)
}

// podOf is a Pod with a container for each image.
func podOf(namespace string, images ...string) *corev1.Pod {
	pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: namespace}}
	for i, image := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: image})
	}
	return pod
}
