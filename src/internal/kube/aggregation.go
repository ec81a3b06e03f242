// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

const (
	// AuthenticationConfigMap is where the API server says how it shows itself to the servers of aggregated APIs.
	AuthenticationConfigMap = "extension-apiserver-authentication"
	// SystemNamespace is where that is.
	SystemNamespace = metav1.NamespaceSystem
	// fieldManager names the server to the API server.
	fieldManager = "local-source-proxy"
)

// ConfigMaps is what is used of client-go's ConfigMapInterface, which satisfies it.
type ConfigMaps interface {
	List(context.Context, metav1.ListOptions) (*corev1.ConfigMapList, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// APIServices is the API of what the aggregation layer forwards.
type APIServices interface {
	List(context.Context, metav1.ListOptions) (*APIServiceList, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
	Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, sub ...string) (*APIService, error)
}

// APIService is what is used of apiregistration.k8s.io/v1's. The module that has the whole type has the
// aggregation layer's server as well.
type APIService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec APIServiceSpec `json:"spec"`
}

// APIServiceSpec is the part of the specification that is used.
type APIServiceSpec struct {
	// CABundle has, in PEM, the certificates by which the API server knows the server of the API.
	CABundle []byte `json:"caBundle,omitempty"`
}

// DeepCopyObject implements [runtime.Object].
func (s *APIService) DeepCopyObject() runtime.Object {
	return &APIService{TypeMeta: s.TypeMeta, ObjectMeta: *s.DeepCopy(),
		Spec: APIServiceSpec{slices.Clone(s.Spec.CABundle)}}
}

// APIServiceList is a list of them.
type APIServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []APIService `json:"items"`
}

// DeepCopyObject implements [runtime.Object].
func (l *APIServiceList) DeepCopyObject() runtime.Object {
	clone := &APIServiceList{TypeMeta: l.TypeMeta, ListMeta: *l.DeepCopy()}
	for i := range l.Items {
		copied, _ := l.Items[i].DeepCopyObject().(*APIService)
		clone.Items = append(clone.Items, *copied)
	}
	return clone
}

func newConfigMaps(config *rest.Config) (ConfigMaps, error) {
	client, parameters, err := restClient(config,
		"/api", corev1.SchemeGroupVersion, &corev1.ConfigMap{}, &corev1.ConfigMapList{})
	if err != nil {
		return nil, err
	}
	return typed[corev1.ConfigMap, corev1.ConfigMapList]("configmaps", client, parameters, SystemNamespace), nil
}

func newAPIServices(config *rest.Config) (APIServices, error) {
	version := schema.GroupVersion{Group: "apiregistration.k8s.io", Version: "v1"}
	client, parameters, err := restClient(config, "/apis", version, &APIService{}, &APIServiceList{})
	if err != nil {
		return nil, err
	}
	return typed[APIService, APIServiceList]("apiservices", client, parameters, ""), nil
}

// WatchAuthentication is [Client.Watch] for the ConfigMap in which the API server says how it shows itself.
func (c *Client) WatchAuthentication(ctx context.Context, deliver func(*corev1.ConfigMap, error)) {
	explain := func(err error) error {
		binding := Binding{Role: "extension-apiserver-authentication-reader in " + SystemNamespace,
			Account: c.Binding.Account}
		return &AccessError{Kind: "ConfigMap", Namespace: SystemNamespace, Name: AuthenticationConfigMap, Err: err,
			binding: binding}
	}
	watchOne(ctx, c, c.ConfigMaps, AuthenticationConfigMap, &corev1.ConfigMap{}, explain, deliver)
}

// WatchAPIService is [Client.Watch] for an APIService. It belongs to no namespace.
func (c *Client) WatchAPIService(ctx context.Context, name string, deliver func(*APIService, error)) {
	watchOne(ctx, c, c.APIServices, name, &APIService{},
		func(err error) error { return c.apiServiceError(name, err) }, deliver)
}

func (c *Client) apiServiceError(name string, err error) *AccessError {
	binding := Binding{Role: apiRole, Account: c.Binding.Account}
	return &AccessError{Kind: "APIService", Name: name, Err: err, binding: binding}
}

// apiRole is the ClusterRole that lets the server keep its APIService.
const apiRole = "local-source-proxy-api-service"

// SetCABundle has the API server know the server of an API by these certificates.
func (c *Client) SetCABundle(ctx context.Context, name string, bundle []byte) error {
	change, err := json.Marshal(map[string]any{"spec": APIServiceSpec{bundle}})
	if err != nil {
		return err
	}
	if _, err = c.APIServices.Patch(ctx, name, types.MergePatchType, change, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
		return c.apiServiceError(name, err).during("write the caBundle of")
	}
	return nil
}

// UpdateSecret replaces the data of a Secret, unless somebody else has changed it since that version: the error
// is then a conflict.
func (c *Client) UpdateSecret(ctx context.Context, name, version string, data map[string][]byte) error {
	found, err := c.Secrets.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		changed := found.DeepCopy()
		changed.ResourceVersion, changed.Data = version, data
		_, err = c.Secrets.Update(ctx, changed, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return c.accessError(secretKind, name, err).during("write")
	}
	return nil
}

// RestoreSecret makes a Secret that was deleted. It goes when its owner goes; nil: it has none.
//
// It is made by a server-side apply, for which the right to create can be limited to this one name (Kubernetes,
// "Authorization", create by PATCH). The right to delete it, the server does not have: it cannot make another
// Secret of it that is filled with a ServiceAccount's token.
func (c *Client) RestoreSecret(
	ctx context.Context, name string, owner *metav1.OwnerReference, data map[string][]byte,
) error {
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: secretKind},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: c.Namespace},
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}
	if owner != nil {
		secret.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	content, err := json.Marshal(secret)
	if err != nil {
		return err
	}
	force := true
	options := metav1.PatchOptions{FieldManager: fieldManager, Force: &force}
	if _, err := c.Secrets.Patch(ctx, name, types.ApplyPatchType, content, options); err != nil {
		return c.accessError(secretKind, name, err).during("restore")
	}
	return nil
}

// Owner returns the reference by which objects go when the APIService goes.
func (s *APIService) Owner() *metav1.OwnerReference {
	return &metav1.OwnerReference{APIVersion: "apiregistration.k8s.io/v1", Kind: "APIService", Name: s.Name, UID: s.UID}
}
