// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// New returns the source proxy's client for a namespace, with the pod's own service account.
func New(namespace string, log *slog.Logger) (*Client, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server of the cluster: %w", err)
	}
	secrets, err := newSecrets(config, namespace)
	if err != nil {
		return nil, err
	}
	binding := Binding{Role: "local-source-proxy-manager", Account: "proxy-manager"}
	return &Client{Namespace: namespace, Secrets: secrets, Binding: binding, Log: log}, nil
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
	return &Client{Namespace: namespace, Secrets: secrets, Licenses: licenses, Registries: registries, Binding: binding, Log: log}, nil
}

// secrets implements [Secrets] with a REST client that knows no other kind.
type secrets struct {
	client     rest.Interface
	namespace  string
	parameters runtime.ParameterCodec
}

func newSecrets(config *rest.Config, namespace string) (*secrets, error) {
	client, parameters, err := restClient(config, "/api", corev1.SchemeGroupVersion, &corev1.Secret{}, &corev1.SecretList{})
	if err != nil {
		return nil, err
	}
	return &secrets{client: client, namespace: namespace, parameters: parameters}, nil
}

// restClient makes a client of one version of an API that knows these kinds and no others.
func restClient(config *rest.Config, path string, version schema.GroupVersion, kinds ...runtime.Object) (rest.Interface, runtime.ParameterCodec, error) {
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

func (s *secrets) request(r *rest.Request) *rest.Request {
	return r.Namespace(s.namespace).Resource("secrets")
}

func (s *secrets) Create(ctx context.Context, secret *corev1.Secret, options metav1.CreateOptions) (*corev1.Secret, error) {
	created := &corev1.Secret{}
	err := s.request(s.client.Post()).VersionedParams(&options, s.parameters).Body(secret).Do(ctx).Into(created)
	return created, err
}

func (s *secrets) Update(ctx context.Context, secret *corev1.Secret, options metav1.UpdateOptions) (*corev1.Secret, error) {
	updated := &corev1.Secret{}
	err := s.request(s.client.Put()).Name(secret.Name).VersionedParams(&options, s.parameters).Body(secret).Do(ctx).Into(updated)
	return updated, err
}

func (s *secrets) Get(ctx context.Context, name string, options metav1.GetOptions) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.request(s.client.Get()).Name(name).VersionedParams(&options, s.parameters).Do(ctx).Into(secret)
	return secret, err
}

func (s *secrets) List(ctx context.Context, options metav1.ListOptions) (*corev1.SecretList, error) {
	list := &corev1.SecretList{}
	err := s.request(s.client.Get()).VersionedParams(&options, s.parameters).Do(ctx).Into(list)
	return list, err
}

func (s *secrets) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	return s.request(s.client.Get()).VersionedParams(&options, s.parameters).Watch(ctx)
}
