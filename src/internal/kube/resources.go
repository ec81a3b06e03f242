// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/gentype"
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

// The rate at which custom resources are written. A new version of the server may have something to say about
// each of many.
const (
	writesPerSecond = 50
	writesAtOnce    = 100
)

func newResources(config *rest.Config, namespace string) (licenses, registries Resources, err error) {
	version := schema.GroupVersion{Group: v1alpha1.Group, Version: v1alpha1.Version}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = writesPerSecond, writesAtOnce
	client, parameters, err := restClient(config, "/apis", version,
		&v1alpha1.License{}, &v1alpha1.LicenseList{}, &v1alpha1.ExternalRegistry{}, &v1alpha1.ExternalRegistryList{})
	if err != nil {
		return nil, nil, err
	}
	return custom[v1alpha1.License, v1alpha1.LicenseList]("licenses", client, parameters, namespace),
		custom[v1alpha1.ExternalRegistry, v1alpha1.ExternalRegistryList]("externalregistries", client, parameters,
			namespace), nil
}

// resources implements [Resources] for one kind. It only takes the kind out of the types of client-go's
// client.
type resources[T, L any, PT customObject[T], PL pointer[L]] struct {
	plural string
	client *gentype.ClientWithList[PT, PL]
}

// customObject is a pointer to a custom resource.
type customObject[T any] interface {
	*T
	v1alpha1.Object
}

func custom[T, L any, PT customObject[T], PL pointer[L]](
	plural string, client rest.Interface, parameters runtime.ParameterCodec, namespace string,
) Resources {
	return resources[T, L, PT, PL]{plural, typed[T, L, PT, PL](plural, client, parameters, namespace)}
}

func (r resources[T, L, PT, PL]) Plural() string { return r.plural }

func (r resources[T, L, PT, PL]) New() v1alpha1.Object { return PT(new(T)) }

func (r resources[T, L, PT, PL]) List(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	return r.client.List(ctx, options)
}

func (r resources[T, L, PT, PL]) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return r.client.Watch(ctx, options)
}

func (r resources[T, L, PT, PL]) Get(ctx context.Context, name string) (v1alpha1.Object, error) {
	return r.client.Get(ctx, name, metav1.GetOptions{})
}

func (r resources[T, L, PT, PL]) UpdateStatus(ctx context.Context, object v1alpha1.Object) error {
	typed, ok := object.(PT)
	if !ok {
		return fmt.Errorf("write the status of one of the %s: it is a %T", r.plural, object)
	}
	_, err := r.client.UpdateStatus(ctx, typed, metav1.UpdateOptions{})
	return err
}
