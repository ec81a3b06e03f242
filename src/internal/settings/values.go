// SPDX-License-Identifier: Apache-2.0

package settings

import "github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"

// Values are the package's values as they are written. Keys that the server does not use are checked for
// their type only; what they may hold is the business of the schema of the package.
type Values struct {
	// Repository is where everything is pushed: "registry/path", or "user/repo" on Docker Hub.
	Repository string `yaml:"repository"`
	// PushSecret is the credential that may push.
	PushSecret PushSecret `yaml:"push_secret"`
	// PullSecret is the credential that may only read.
	PullSecret PullSecret `yaml:"pull_secret"`
	// ImagePullSecret is the credential that the kubelet pulls the pods' image with.
	ImagePullSecret ImagePullSecret `yaml:"image_pull_secret"`
	// RBACSubjects are the users and groups who may push.
	RBACSubjects []Subject `yaml:"rbac_subjects_for_proxy_access"`
	// ProxyConfiguration sizes the Deployment.
	ProxyConfiguration ProxyConfiguration `yaml:"proxy_configuration"`
	// CACertData is a PEM bundle that is trusted beside the system's roots.
	CACertData string `yaml:"ca_cert_data"`
	// PlainHTTP says that the registry speaks HTTP without TLS.
	PlainHTTP bool `yaml:"plain_http"`
	// TokenRealms are further hosts that may be shown the credential, over https.
	TokenRealms []string `yaml:"token_realms"`
	// KubernetesDistribution is "openshift" where the platform assigns user ids.
	KubernetesDistribution string `yaml:"kubernetes_distribution"`
	// KubernetesVersion is the version of the cluster, such as "1.34".
	KubernetesVersion string `yaml:"kubernetes_version"`
	// NamespacedAPI is the way in behind the API server's aggregation layer.
	NamespacedAPI NamespacedAPI `yaml:"namespaced_api"`
	// ServiceProxy is that of existing clients.
	ServiceProxy ServiceProxy `yaml:"service_proxy"`
	// AllowPull lets callers download blobs.
	AllowPull bool `yaml:"allow_pull"`
	// AllowDelete lets callers delete content.
	AllowDelete bool `yaml:"allow_delete"`
	// AllowSubRepositories lets source/<sub> stand for <repository>/<sub>.
	AllowSubRepositories bool `yaml:"allow_sub_repositories"`
	// CreateNamespace has the package bring its own Namespace.
	CreateNamespace bool `yaml:"create_namespace"`
	// NetworkPolicy restricts who reaches the source proxy inside the cluster.
	NetworkPolicy NetworkPolicy `yaml:"network_policy"`
	// ImageProxy shapes the image proxy's manifests; its server is told by flags.
	ImageProxy ImageProxy `yaml:"image_proxy"`
	// Monitoring adds alerts and a dashboard.
	Monitoring Monitoring `yaml:"monitoring"`
	// Shared is the platform's; keys in it that are not listed in [Shared] are ignored.
	Shared Shared `yaml:"shared" keys:"open"`
}

// SecretRef names a Secret.
type SecretRef struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
}

// PushSecret is the value push_secret.
type PushSecret struct {
	Name         string `yaml:"name"`
	Namespace    string `yaml:"namespace"`
	CreateExport bool   `yaml:"create_export"`
	AWSIAMRole   string `yaml:"aws_iam_role_arn"`
}

// PullSecret is the value pull_secret.
type PullSecret struct {
	Name         string   `yaml:"name"`
	Namespace    string   `yaml:"namespace"`
	CreateExport bool     `yaml:"create_export"`
	AWSIAMRole   string   `yaml:"aws_iam_role_arn"`
	ToNamespaces []string `yaml:"to_namespaces"`
}

// ImagePullSecret is the value image_pull_secret.
type ImagePullSecret struct {
	Name         string `yaml:"name"`
	Namespace    string `yaml:"namespace"`
	CreateExport bool   `yaml:"create_export"`
}

// Subject is a subject of a RoleBinding, in the spelling of the Kubernetes API.
type Subject struct {
	Kind      string `yaml:"kind"`
	Name      string `yaml:"name"`
	APIGroup  string `yaml:"apiGroup"`
	Namespace string `yaml:"namespace"`
}

// ProxyConfiguration is the value proxy_configuration.
type ProxyConfiguration struct {
	Replicas int    `yaml:"replicas"`
	Limits   Limits `yaml:"limits"`
}

// Limits are the resource limits of the container.
type Limits struct {
	CPU    Quantity `yaml:"cpu"`
	Memory Quantity `yaml:"memory"`
}

// Quantity is a Kubernetes quantity as it is written: "500m", or a bare number such as 1.
type Quantity string

// UnmarshalText implements [encoding.TextUnmarshaler], so that a bare number will do.
func (q *Quantity) UnmarshalText(text []byte) error {
	*q = Quantity(text)
	return nil
}

// Duration is a duration as it is written: "24h", or a bare 0.
type Duration string

// UnmarshalText implements [encoding.TextUnmarshaler], so that a bare number will do.
func (d *Duration) UnmarshalText(text []byte) error {
	*d = Duration(text)
	return nil
}

// NamespacedAPI is the value namespaced_api. A flag has the server serve it; Enabled says which values go
// together.
type NamespacedAPI struct {
	Enabled bool `yaml:"enabled"`
	// Tenancy is [TenancyRepositories], which is the default, or [TenancyTags].
	Tenancy                string `yaml:"tenancy"`
	MetricsByNamespace     bool   `yaml:"metrics_by_namespace"`
	CreateClusterResources bool   `yaml:"create_cluster_resources"`
}

// ServiceProxy is the value service_proxy.
type ServiceProxy struct {
	Enabled bool `yaml:"enabled"`
}

// NetworkPolicy is the value network_policy.
type NetworkPolicy struct {
	Enabled      bool     `yaml:"enabled"`
	IngressCIDRs []string `yaml:"ingress_cidrs"`
	AdminCIDRs   []string `yaml:"admin_cidrs"`
	Egress       Egress   `yaml:"egress"`
}

// Egress is the value network_policy.egress.
type Egress struct {
	Enabled     bool     `yaml:"enabled"`
	CIDRs       []string `yaml:"cidrs"`
	ExceptCIDRs []string `yaml:"except_cidrs"`
}

// ImageProxy is the value image_proxy.
type ImageProxy struct {
	Enabled           bool     `yaml:"enabled"`
	CreateCRDs        bool     `yaml:"create_crds"`
	Replicas          int      `yaml:"replicas"`
	Limits            Limits   `yaml:"limits"`
	RegistrySecrets   []string `yaml:"registry_secrets"`
	ExternalURL       string   `yaml:"external_url"`
	Domains           []string `yaml:"domains"`
	TLSSecret         string   `yaml:"tls_secret"`
	Service           Service  `yaml:"service"`
	Ingress           Ingress  `yaml:"ingress"`
	TerminateOnRevoke bool     `yaml:"terminate_on_revoke"`
	ConcurrentPulls   int      `yaml:"concurrent_pulls"`
	Cache             Cache    `yaml:"cache"`
	TrustedProxies    []string `yaml:"trusted_proxies"`
}

// Cache is the value image_proxy.cache.
type Cache struct {
	Enabled    bool     `yaml:"enabled"`
	Storage    string   `yaml:"storage"`
	Size       Quantity `yaml:"size"`
	Stale      Duration `yaml:"stale"`
	Strict     bool     `yaml:"strict"`
	SignedURLs bool     `yaml:"signed_urls"`
	Secret     string   `yaml:"secret"`
}

// Service is the value image_proxy.service.
type Service struct {
	Type        string         `yaml:"type"`
	Annotations map[string]any `yaml:"annotations"`
}

// Ingress is the value image_proxy.ingress.
type Ingress struct {
	Enabled     bool           `yaml:"enabled"`
	ClassName   string         `yaml:"class_name"`
	Annotations map[string]any `yaml:"annotations"`
}

// Monitoring is the value monitoring.
type Monitoring struct {
	PrometheusRule   bool `yaml:"prometheus_rule"`
	GrafanaDashboard bool `yaml:"grafana_dashboard"`
	// ScrapeFrom are the pods that the NetworkPolicy lets in.
	ScrapeFrom ScrapeFrom `yaml:"scrape_from"`
}

// ScrapeFrom is the value monitoring.scrape_from.
type ScrapeFrom struct {
	Namespace string         `yaml:"namespace"`
	PodLabels map[string]any `yaml:"pod_labels"`
}

// Shared holds the platform's values that this package falls back to.
type Shared struct {
	ImageRegistry ImageRegistry `yaml:"image_registry"`
	CACertData    string        `yaml:"ca_cert_data"`
}

// ImageRegistry is the platform's own registry.
type ImageRegistry struct {
	ProjectPath string    `yaml:"project_path"`
	Secret      SecretRef `yaml:"secret"`
}

// sharedRepository is what stands for the repository below the platform's project path.
const sharedRepository = "/source"

// WithShared returns the values with the platform's filled in where the package's own are empty: the
// repository, the push secret (unless an IAM role replaces it) and the CA bundle, where both are merged.
func (v Values) WithShared() Values {
	if v.Repository == "" && v.Shared.ImageRegistry.ProjectPath != "" {
		v.Repository = v.Shared.ImageRegistry.ProjectPath + sharedRepository
	}
	if v.PushSecret.Name == "" && v.PushSecret.AWSIAMRole == "" {
		v.PushSecret.Name = v.Shared.ImageRegistry.Secret.Name
		v.PushSecret.Namespace = v.Shared.ImageRegistry.Secret.Namespace
	}
	if v.Shared.CACertData != v.CACertData {
		v.CACertData = strictyaml.JoinCABundles(v.CACertData, v.Shared.CACertData)
	}
	return v
}
