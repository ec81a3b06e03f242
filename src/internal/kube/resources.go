// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// Resources is the API of the custom resources of one kind in one namespace.
type Resources interface {
	List(context.Context, metav1.ListOptions) (runtime.Object, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
	Get(ctx context.Context, name string) (v1alpha1.Object, error)
	// UpdateStatus writes the status, unless the object is another by now than the one that was read.
	UpdateStatus(context.Context, v1alpha1.Object) error
	// Plural is how the API calls the kind.
	Plural() string
	// New makes an empty object of the kind.
	New() v1alpha1.Object
}

// The rate at which custom resources are written. A new version of the server may have something to say about each of many.
const (
	writesPerSecond = 50
	writesAtOnce    = 100
)

// resources implements [Resources].
type resources struct {
	client     rest.Interface
	namespace  string
	plural     string
	parameters runtime.ParameterCodec
	object     func() v1alpha1.Object
	list       func() runtime.Object
}

func newResources(config *rest.Config, namespace string) (licenses, registries *resources, err error) {
	version := schema.GroupVersion{Group: v1alpha1.Group, Version: v1alpha1.Version}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = writesPerSecond, writesAtOnce
	client, parameters, err := restClient(config, "/apis", version,
		&v1alpha1.License{}, &v1alpha1.LicenseList{}, &v1alpha1.ExternalRegistry{}, &v1alpha1.ExternalRegistryList{})
	if err != nil {
		return nil, nil, err
	}
	licenses = &resources{
		client: client, namespace: namespace, plural: "licenses", parameters: parameters,
		object: func() v1alpha1.Object { return &v1alpha1.License{} },
		list:   func() runtime.Object { return &v1alpha1.LicenseList{} },
	}
	registries = &resources{
		client: client, namespace: namespace, plural: "externalregistries", parameters: parameters,
		object: func() v1alpha1.Object { return &v1alpha1.ExternalRegistry{} },
		list:   func() runtime.Object { return &v1alpha1.ExternalRegistryList{} },
	}
	return licenses, registries, nil
}

func (r *resources) Plural() string { return r.plural }

func (r *resources) New() v1alpha1.Object { return r.object() }

func (r *resources) request(request *rest.Request) *rest.Request {
	return request.Namespace(r.namespace).Resource(r.plural)
}

func (r *resources) List(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list := r.list()
	err := r.request(r.client.Get()).VersionedParams(&options, r.parameters).Do(ctx).Into(list)
	return list, err
}

func (r *resources) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	return r.request(r.client.Get()).VersionedParams(&options, r.parameters).Watch(ctx)
}

func (r *resources) Get(ctx context.Context, name string) (v1alpha1.Object, error) {
	object := r.object()
	err := r.request(r.client.Get()).Name(name).Do(ctx).Into(object)
	return object, err
}

func (r *resources) UpdateStatus(ctx context.Context, object v1alpha1.Object) error {
	return r.request(r.client.Put()).Name(object.GetName()).SubResource("status").Body(object).Do(ctx).Error()
}
