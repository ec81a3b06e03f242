// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
)

// New returns the source proxy's client for a namespace, with the pod's own service account.
func New(namespace string, log *slog.Logger) (*Client, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server of the cluster: %w", err)
	}
	return NewAt(config, namespace, log)
}

// NewAt returns the same for an API server elsewhere.
func NewAt(config *rest.Config, namespace string, log *slog.Logger) (*Client, error) {
	secrets, err := newSecrets(config, namespace)
	if err != nil {
		return nil, err
	}
	maps, err := newConfigMaps(config)
	if err != nil {
		return nil, err
	}
	services, err := newAPIServices(config)
	if err != nil {
		return nil, err
	}
	binding := Binding{Role: "local-source-proxy-manager", Account: "proxy-manager"}
	return &Client{Namespace: namespace, Secrets: secrets, ConfigMaps: maps, APIServices: services,
		Binding: binding, Log: log}, nil
}

// NewImageProxy returns the image proxy's client for a namespace, with the pod's own service account.
func NewImageProxy(namespace string, log *slog.Logger) (*Client, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server of the cluster: %w", err)
	}
	return NewImageProxyAt(config, namespace, log)
}

// NewImageProxyAt returns the same for an API server elsewhere.
func NewImageProxyAt(config *rest.Config, namespace string, log *slog.Logger) (*Client, error) {
	secrets, err := newSecrets(config, namespace)
	if err != nil {
		return nil, err
	}
	licenses, registries, err := newResources(config, namespace)
	if err != nil {
		return nil, err
	}
	binding := Binding{Role: "image-proxy", Account: "image-proxy", Secrets: "image_proxy.registry_secrets"}
	return &Client{Namespace: namespace, Secrets: secrets, Licenses: licenses, Registries: registries,
		Binding: binding, Log: log}, nil
}

func newSecrets(config *rest.Config, namespace string) (Secrets, error) {
	client, parameters, err := restClient(config,
		"/api", corev1.SchemeGroupVersion, &corev1.Secret{}, &corev1.SecretList{})
	if err != nil {
		return nil, err
	}
	return typed[corev1.Secret, corev1.SecretList]("secrets", client, parameters, namespace), nil
}

// pointer is *T, of which the API machinery wants objects and lists to be.
type pointer[T any] interface {
	*T
	runtime.Object
}

// object is a pointer to something that has a name.
type object[T any] interface {
	pointer[T]
	metav1.Object
}

// typed returns client-go's client of one kind, T, with lists L.
func typed[T, L any, PT object[T], PL pointer[L]](
	plural string, client rest.Interface, parameters runtime.ParameterCodec, namespace string,
) *gentype.ClientWithList[PT, PL] {
	return gentype.NewClientWithList(plural, client, parameters, namespace, func() PT { return new(T) },
		func() PL { return new(L) })
}

// restClient makes a client of one version of an API that knows these kinds and no others.
func restClient(
	config *rest.Config, path string, version schema.GroupVersion, kinds ...runtime.Object,
) (rest.Interface, runtime.ParameterCodec, error) {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(version, kinds...)
	metav1.AddToGroupVersion(scheme, version)

	config = rest.CopyConfig(config)
	config.APIPath = path
	config.GroupVersion = &version
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.UserAgent = "local-source-proxy"
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("make a client for the API server: %w", err)
	}
	return client, runtime.NewParameterCodec(scheme), nil
}
