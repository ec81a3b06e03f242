// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 has the API types of the image proxy: License and ExternalRegistry.
//
// They are custom resources in a cluster, and the same YAML in a directory outside of one. The server, the
// plugin and the custom resource definitions take them from here. The package reads, writes and checks single
// objects. Which of them are in force, and where they come from, is not its concern.
//
// +kubebuilder:object:generate=true
// +groupName=imageproxy.apps.tanzu.vmware.com
// +versionName=v1alpha1
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the objects' apiVersion and kinds are.
const (
	Group       = "imageproxy.apps.tanzu.vmware.com"
	Version     = "v1alpha1"
	APIVersion  = Group + "/" + Version
	LicenseKind = "License"
	// RegistryKind is the kind of [ExternalRegistry].
	RegistryKind = "ExternalRegistry"
	// MaxConcurrentPulls is the most that [Limits] take.
	MaxConcurrentPulls = 10_000
	// MaxImages is how many patterns a license, or a registry, has at most.
	MaxImages = 64
)

// License admits a customer to the images of one application.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=lic,categories=imageproxy
// +kubebuilder:printcolumn:name=App,type=string,JSONPath=.spec.appSlug
// +kubebuilder:printcolumn:name=Customer,type=string,JSONPath=.spec.customerName
// +kubebuilder:printcolumn:name=Expires,type=string,JSONPath=.spec.expiresAt
// +kubebuilder:printcolumn:name=Revoked,type=boolean,JSONPath=.spec.revoked
// +kubebuilder:printcolumn:name=Pulls,type=integer,JSONPath=.status.pulls
// +kubebuilder:printcolumn:name=Last Pulled,type=date,JSONPath=.status.lastPulled
type License struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec LicenseSpec `json:"spec"`
	// +optional
	Status LicenseStatus `json:"status,omitzero"`
}

// LicenseSpec is what the vendor decides.
type LicenseSpec struct {
	// AppSlug is the application: lower-case letters, digits and dashes, as in references.
	//
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	AppSlug string `json:"appSlug"`
	// CustomerName is whom the license was given to; it appears in records and metrics.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f-\x9f]*$`
	CustomerName string `json:"customerName"`
	// CustomerEmail is how to reach them.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f-\x9f]*$`
	CustomerEmail string `json:"customerEmail,omitempty"`
	// Credentials each admit; rotating a license id means adding one and removing the other.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, b.sha256 == a.sha256))",message="every credential must have a hash of its own"
	Credentials []Credential `json:"credentials,omitempty"`
	// ExpiresAt is when the license ends (RFC 3339); empty: it does not.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$`
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == '' || timestamp(self) >= timestamp('1970-01-01T00:00:00Z')",message="must be a time since 1970"
	ExpiresAt string `json:"expiresAt,omitempty"`
	// Images are those that the license opens, as patterns [host/]repository[:tag], such as team/api:v1.*; none
	// means all of the application's. A * stands for any characters within a segment or tag, and a segment ** for any
	// number of segments.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?:[0-9]{1,5}/)?([*][*]|[*]|[*]?[a-z0-9._-]+([*][a-z0-9._-]+)*[*]?)(/([*][*]|[*]|[*]?[a-z0-9._-]+([*][a-z0-9._-]+)*[*]?))*(:([*]|[*]?[A-Za-z0-9._-]+([*][A-Za-z0-9._-]+)*[*]?))?$`
	Images []string `json:"images,omitempty"`
	// Revoked ends the license until it is set to false.
	//
	// +optional
	Revoked bool `json:"revoked,omitempty"`
	// Limits bound what the customer takes at once.
	//
	// +optional
	Limits Limits `json:"limits,omitzero"`
}

// Limits bound what a customer takes at once.
type Limits struct {
	// ConcurrentPulls is how many blobs each replica of the server sends at once with this license, and how
	// many other requests it has the registry answer. Further ones wait, and are refused in the end. Without it
	// the package's value counts.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	ConcurrentPulls *int64 `json:"concurrentPulls,omitempty"`
}

// Credential is one license id, which is known by its hash alone.
type Credential struct {
	// Name tells the credentials of a license apart.
	//
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// SHA256 is the SHA-256 of the license id, in 64 hex digits. Ids are random and long, so that a plain
	// hash suffices.
	//
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self != 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",message="must not be the hash of nothing"
	SHA256 string `json:"sha256"`
	// ExpiresAt is when this credential ends (RFC 3339); empty: with the license.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$`
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == '' || timestamp(self) >= timestamp('1970-01-01T00:00:00Z')",message="must be a time since 1970"
	ExpiresAt string `json:"expiresAt,omitempty"`
}

// LicenseStatus is what the server has seen; it writes it at most once a minute.
type LicenseStatus struct {
	// LastPulled is when a manifest or blob was last given out.
	//
	// +optional
	LastPulled *metav1.Time `json:"lastPulled,omitempty"`
	// Pulls counts the manifests that were given out for a GET request.
	//
	// +optional
	Pulls int64 `json:"pulls,omitempty"`
	// Conditions: "Valid" says whether the object could be used.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LicenseList is what the API server answers.
//
// +kubebuilder:object:root=true
type LicenseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []License `json:"items"`
}

// ExternalRegistry is a registry that images are pulled from, and the vendor's credential for it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=extreg,categories=imageproxy
// +kubebuilder:printcolumn:name=Hostname,type=string,JSONPath=.spec.hostname
// +kubebuilder:printcolumn:name=Alias,type=string,JSONPath=.spec.alias
// +kubebuilder:printcolumn:name=Valid,type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].status`
// +kubebuilder:printcolumn:name=Accepted,type=string,JSONPath=`.status.conditions[?(@.type=="CredentialAccepted")].status`
// +kubebuilder:printcolumn:name=Message,type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Valid")].message`
// +kubebuilder:printcolumn:name=Credential,type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="CredentialAccepted")].message`
type ExternalRegistry struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ExternalRegistrySpec `json:"spec"`
	// +optional
	Status ExternalRegistryStatus `json:"status,omitzero"`
}

// ExternalRegistrySpec is what the vendor decides.
type ExternalRegistrySpec struct {
	// Hostname as in an image reference: host or host:port. The names of Docker Hub are one.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=259
	// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?$`
	// +kubebuilder:validation:XValidation:rule="self.matches('[.:]|^(?i:localhost)$')",message="must have a dot or a port, or it would be a user of Docker Hub"
	Hostname string `json:"hostname"`
	// Alias is a short name for references, one path segment without a dot or colon.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$`
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!(self in ['library', 'localhost'])",message="stands for something else in references"
	Alias string `json:"alias,omitempty"`
	// AppAccess are the slugs of the applications that may use it; none means all.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:items:MaxLength=63
	AppAccess []string `json:"appAccess,omitempty"`
	// Repositories of it that are open at all, as patterns such as team/*; none means all that the credential reads.
	// A * stands for any characters within a segment, and a segment ** for any number of segments.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^([*][*]|[*]|[*]?[a-z0-9._-]+([*][a-z0-9._-]+)*[*]?)(/([*][*]|[*]|[*]?[a-z0-9._-]+([*][a-z0-9._-]+)*[*]?))*$`
	Repositories []string `json:"repositories,omitempty"`
	// Credentials for the registry, at most one of them; none means anonymous.
	//
	// +optional
	Credentials RegistryCredentials `json:"credentials,omitzero"`
	// CACertData are PEM certificates that are trusted beside the system's.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.contains('-----BEGIN ') || self.trim() == ''",message="must be PEM certificates"
	CACertData string `json:"caCertData,omitempty"`
	// TokenRealms are hosts, with a port where it is not 443, that may be shown the credential beside the
	// registry's own host and its registrable domain, always by https: for a registry that names a token
	// server elsewhere.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=259
	// +kubebuilder:validation:items:Pattern=`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?$`
	TokenRealms []string `json:"tokenRealms,omitempty"`
	// PlainHTTP says that the registry does not speak TLS.
	//
	// +optional
	PlainHTTP bool `json:"plainHTTP,omitempty"`
}

// RegistryCredentials is where the vendor's credential is.
//
// +kubebuilder:validation:XValidation:rule="!has(self.provider) || !has(self.secretRef) || size(self.provider) * size(self.secretRef.name) == 0",message="must not name both secretRef and provider"
type RegistryCredentials struct {
	// SecretRef names a Secret of type kubernetes.io/dockerconfigjson in the same namespace.
	//
	// +optional
	SecretRef SecretRef `json:"secretRef,omitzero"`
	// DockerConfigFile is a docker config.json, outside a cluster; its path is relative to the file that
	// names it.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == ''",message="has no meaning in a cluster: name a Secret by secretRef"
	DockerConfigFile string `json:"dockerConfigFile,omitempty"`
	// Provider takes the identity that a cloud has assigned to the machine.
	//
	// +optional
	// +kubebuilder:validation:Enum="";aws;google;azure
	Provider string `json:"provider,omitempty"`
}

// SecretRef names a Secret.
type SecretRef struct {
	// Name is the Secret's.
	//
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*)?$`
	Name string `json:"name"`
}

// ExternalRegistryStatus is what the server makes of it.
type ExternalRegistryStatus struct {
	// CredentialCheckedAt is when the registry was last asked whether it takes the credential.
	//
	// +optional
	CredentialCheckedAt *metav1.Time `json:"credentialCheckedAt,omitempty"`
	// Conditions: "Valid" says whether the object could be used, and if not, what to change.
	// "CredentialAccepted" says whether the registry takes the credential.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ExternalRegistryList is what the API server answers.
//
// +kubebuilder:object:root=true
type ExternalRegistryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ExternalRegistry `json:"items"`
}
