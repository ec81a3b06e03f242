// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"strings"
	"testing"
)

// Every mistake gets a message that names the key and says what to write.
func TestMistakesAreRefused(t *testing.T) {
	const (
		role   = "arn:aws:iam::123456789012:role/push"
		secret = "name: a, namespace: b"
	)
	withoutTLS := []string{"image_proxy.external_url is empty", "image_proxy.tls_secret", "external_url: https://images.example.com"}
	cases := []struct {
		name, values string
		want         []string
	}{
		// Keys and types.
		{"misspelt key", "reposiory: a.example.com/b", []string{"reposiory", `did you mean "repository"?`}},
		{"misspelt key below another", "push_secret: {nmae: a}", []string{"found: nmae", "name"}},
		{"misspelt key of the image proxy", "image_proxy: {ingres: {}}", []string{"found: ingres", "ingress"}},
		{"text for a boolean", "allow_pull: \"yes please\"", []string{"found: string", "expected: boolean"}},
		{"text for a number", "proxy_configuration: {replicas: two}", []string{"found: string", "expected: integer"}},
		{"number for text", "repository: 5", []string{"found: integer", "expected: string"}},
		{"text for a list", "network_policy: {ingress_cidrs: 192.0.2.1/32}", []string{"expected: array"}},
		// The repository.
		{"scheme", "repository: https://registry.example.com/a", []string{"repository", "has a scheme: write registry/path"}},
		{"tag", "repository: registry.example.com/a:v1", []string{"has a tag"}},
		{"digest", "repository: registry.example.com/a@sha256:00", []string{"has a digest"}},
		{"host alone", "repository: registry.example.com", []string{"is a single word"}},
		{"upper case", "repository: registry.example.com/Apps", []string{`"Apps" in`, "lower-case"}},
		{"slash at the end", "repository: registry.example.com/apps/", []string{"is not a repository name"}},
		{"bad host", "repository: -registry.example.com/apps", []string{"is not a registry host"}},
		{"shared repository", "shared: {image_registry: {project_path: \"https://a.example.com/b\"}}", []string{"shared.image_registry.project_path", "has a scheme"}},
		// Credentials.
		{"name without namespace", "push_secret: {name: a}", []string{"push_secret.namespace is missing"}},
		{"namespace without name", "pull_secret: {namespace: a}", []string{"pull_secret.name is missing"}},
		{"bad name", "push_secret: {name: A_b, namespace: c}", []string{"push_secret.name", "cannot be the name of a Secret"}},
		{"bad namespace", "push_secret: {name: a, namespace: c.d}", []string{"push_secret.namespace", "cannot be the name of a namespace"}},
		{"role and Secret", "push_secret: {" + secret + ", aws_iam_role_arn: \"" + role + "\"}", []string{"push_secret.aws_iam_role_arn and push_secret.name are both set"}},
		{"role and Secret for pulling", "pull_secret: {" + secret + ", aws_iam_role_arn: \"" + role + "\"}", []string{"pull_secret.aws_iam_role_arn and pull_secret.name are both set"}},
		{"role and export", "push_secret: {create_export: true, aws_iam_role_arn: \"" + role + "\"}", []string{"push_secret.create_export needs a Secret"}},
		{"not a role", "push_secret: {aws_iam_role_arn: \"arn:aws:iam::1:user/x\"}", []string{"push_secret.aws_iam_role_arn", "is not the ARN of an IAM role"}},
		{"export of nothing", "push_secret: {create_export: true}", []string{"push_secret.create_export needs push_secret.name"}},
		{"export of nothing for pulling", "{pull_secret: {create_export: true}, shared: {image_registry: {secret: {" + secret + "}}}}", []string{"pull_secret.create_export needs pull_secret.name"}},
		{"export to itself", "push_secret: {name: a, namespace: tap-local-source-system, create_export: true}", []string{"is in tap-local-source-system already"}},
		{"half a shared Secret", "shared: {image_registry: {secret: {name: a}}}", []string{"shared.image_registry.secret needs both"}},
		{"all namespaces and one", "pull_secret: {" + secret + ", create_export: true, to_namespaces: [\"*\", x]}", []string{`"*" stands for all namespaces`}},
		{"no namespaces", "pull_secret: {" + secret + ", create_export: true, to_namespaces: []}", []string{"pull_secret.to_namespaces"}},
		{"namespaces without export", "pull_secret: {" + secret + ", to_namespaces: [x]}", []string{"nothing would be exported"}},
		{"bad destination", "pull_secret: {" + secret + ", create_export: true, to_namespaces: [A]}", []string{"pull_secret.to_namespaces[0]", "cannot be the name of a namespace"}},
		{"image pull Secret without namespace", "image_pull_secret: {name: a}", []string{"image_pull_secret.namespace is missing"}},
		{"image pull Secret without name", "image_pull_secret: {namespace: a}", []string{"image_pull_secret.name is missing"}},
		{"export of nothing for the image", "image_pull_secret: {create_export: true}", []string{"image_pull_secret.create_export needs image_pull_secret.name"}},
		{"export of the image's Secret to itself", "image_pull_secret: {name: a, namespace: tap-local-source-system, create_export: true}", []string{"is in tap-local-source-system already"}},
		{"image pull Secret's name", "image_pull_secret: {name: A, namespace: b}", []string{"image_pull_secret.name", "cannot be the name of a Secret"}},
		{"image pull Secret's namespace", "image_pull_secret: {name: a, namespace: b.c}", []string{"image_pull_secret.namespace", "cannot be the name of a namespace"}},
		{"the session key as image pull Secret", "image_pull_secret: {name: local-source-proxy-session-key, namespace: b}", []string{"is a Secret of the package's own"}},
		{"two Secrets of one name", "{push_secret: {" + secret + "}, image_pull_secret: {name: a, namespace: other}}", []string{`the push Secret is called "a" too`}},
		{"two Secrets of one name, one in place", "{shared: {image_registry: {secret: {" + secret + "}}}, image_pull_secret: {name: a, namespace: tap-local-source-system}}", []string{`the push Secret is called "a" too`}},
		// Subjects.
		{"unknown kind", "rbac_subjects_for_proxy_access: [{kind: Team, name: a}]", []string{"rbac_subjects_for_proxy_access[0].kind", `"User", "Group", "ServiceAccount"`}},
		{"no name", "rbac_subjects_for_proxy_access: [{kind: User}]", []string{"rbac_subjects_for_proxy_access[0].name"}},
		{"service account without namespace", "rbac_subjects_for_proxy_access: [{kind: ServiceAccount, name: a}]", []string{`ServiceAccount "a" needs a namespace`}},
		{"group with namespace", "rbac_subjects_for_proxy_access: [{kind: Group, name: a, namespace: b}]", []string{"has no namespace in Kubernetes"}},
		// Side B.
		{"the image proxy with the push Secret", "{push_secret: {" + secret + "}, image_proxy: {registry_secrets: [a]}}", []string{`image_proxy.registry_secrets: "a" is the push Secret`}},
		{"the image proxy with the shared push Secret", "{shared: {image_registry: {secret: {" + secret + "}}}, image_proxy: {registry_secrets: [x, a]}}", []string{`"a" is the push Secret`}},
		{"push Secret as a certificate", "{push_secret: {" + secret + "}, image_proxy: {tls_secret: a}}", []string{`image_proxy.tls_secret: "a" is the push Secret`}},
		{"the image proxy with the session key", "image_proxy: {registry_secrets: [local-source-proxy-session-key]}", []string{"is a Secret of the package's own"}},
		{"the image proxy with the values", "image_proxy: {tls_secret: local-source-proxy-values}", []string{"is a Secret of the package's own"}},
		{"registry Secret's name", "image_proxy: {registry_secrets: [Quay]}", []string{"image_proxy.registry_secrets[0]", "cannot be the name of a Secret"}},
		{"registry Secret without a name", "image_proxy: {registry_secrets: [\"\"]}", []string{"image_proxy.registry_secrets[0]"}},
		{"Ingress without domains", "image_proxy: {ingress: {enabled: true}}", []string{"image_proxy.domains is empty"}},
		{"Ingress without its addresses", "image_proxy: {domains: [a.example.com], ingress: {enabled: true}}", []string{"image_proxy.trusted_proxies is empty"}},
		{"two ways in", "image_proxy: {domains: [a.example.com], trusted_proxies: [10.0.0.0/8], ingress: {enabled: true}, service: {type: LoadBalancer}}", []string{"customers need one way in"}},
		{"class without Ingress", "image_proxy: {ingress: {class_name: nginx}}", []string{"image_proxy.ingress.class_name is set, but"}},
		{"annotations without Ingress", "image_proxy: {ingress: {annotations: {a: b}}}", []string{"image_proxy.ingress.annotations is set, but"}},
		{"class that is no name", "image_proxy: {ingress: {class_name: Nginx}}", []string{"cannot be the name of an IngressClass"}},
		{"a load balancer without TLS", "image_proxy: {enabled: true, service: {type: LoadBalancer}}", withoutTLS},
		{"a load balancer with annotations", "image_proxy: {enabled: true, service: {type: LoadBalancer, annotations: {a: b}}}", withoutTLS},
		{"a port of nodes without TLS", "image_proxy: {enabled: true, service: {type: NodePort}}", withoutTLS},
		{"a Service without TLS", "image_proxy: {enabled: true}", withoutTLS},
		{"trusted proxies alone", "image_proxy: {enabled: true, trusted_proxies: [10.0.0.0/8]}", withoutTLS},
		{"http before an Ingress", "image_proxy: {domains: [a.example.com], trusted_proxies: [10.0.0.0/8], ingress: {enabled: true}, external_url: http://a.example.com}", []string{"image_proxy.external_url says http, but the Ingress"}},
		{"http with a certificate", "image_proxy: {tls_secret: a, external_url: http://a.example.com}", []string{"image_proxy.external_url says http, but the pods"}},
		{"URL without scheme", "image_proxy: {external_url: a.example.com}", []string{"image_proxy.external_url", "has no scheme: write https://"}},
		{"URL with another scheme", "image_proxy: {external_url: ftp://a.example.com}", []string{"has no scheme: write https://"}},
		{"URL with a path", "image_proxy: {external_url: https://a.example.com/v2}", []string{"is more than a scheme and a host"}},
		{"URL with a user", "image_proxy: {external_url: https://u@a.example.com}", []string{"is more than a scheme and a host"}},
		{"two URLs", "image_proxy: {external_url: \"https://a.example.com,http://b.example.com\"}", []string{"is more than a scheme and a host"}},
		{"URL with an impossible port", "image_proxy: {external_url: \"https://a.example.com:123456\"}", []string{"is more than a scheme and a host"}},
		{"URL with a slash at its end", "image_proxy: {external_url: https://a.example.com/}", []string{"is more than a scheme and a host"}},
		{"wildcard as URL", "image_proxy: {external_url: \"https://*.example.com\"}", []string{"is more than a scheme and a host"}},
		{"unknown type of Service", "image_proxy: {service: {type: ExternalName}}", []string{"image_proxy.service.type", `"LoadBalancer"`}},
		{"number as annotation", "image_proxy: {service: {annotations: {weight: 5}}}", []string{"image_proxy.service.annotations", "weight: 5 is not a text: put it in quotes"}},
		{"annotations that are a list", "image_proxy: {service: {annotations: [a]}}", []string{"must be a mapping of names to texts"}},
		{"annotations that are a text", "image_proxy: {service: {annotations: a}}", []string{"must be a mapping of names to texts"}},
		{"domain with scheme", "image_proxy: {domains: [\"https://a.example.com\"]}", []string{"image_proxy.domains[0]", "is more than a host name"}},
		{"domain with port", "image_proxy: {domains: [\"a.example.com:443\"]}", []string{"is more than a host name"}},
		{"wildcard", "image_proxy: {domains: [\"*.example.com\"]}", []string{"is not a host name"}},
		{"single word as domain", "image_proxy: {domains: [images]}", []string{"is not a host name"}},
		{"trusted proxy without length", "image_proxy: {trusted_proxies: [10.0.0.1]}", []string{"image_proxy.trusted_proxies[0]", "has no prefix length"}},
		{"no pulls", "image_proxy: {concurrent_pulls: 0}", []string{"image_proxy.concurrent_pulls", ">= 1"}},
		// Its cache.
		{"storage of what is off", "image_proxy: {cache: {storage: \"s3://images\"}}", []string{"image_proxy.cache.storage is set, but image_proxy.cache.enabled is false: set it to true, or remove storage"}},
		{"size of what is off", "image_proxy: {cache: {size: 20Gi}}", []string{"image_proxy.cache.size is set, but image_proxy.cache.enabled is false"}},
		{"strict about what is off", "image_proxy: {cache: {strict: true}}", []string{"image_proxy.cache.strict is set, but image_proxy.cache.enabled is false"}},
		{"a bucket's size", "image_proxy: {cache: {enabled: true, storage: \"gs://images\", size: 20Gi}}", []string{"image_proxy.cache.size is set, and the storage is a bucket", "a lifecycle rule"}},
		{"a claim without a size", "image_proxy: {cache: {enabled: true, storage: images}}", []string{"image_proxy.cache.size is empty", `the claim "images"`}},
		{"signed URLs of a disk", "image_proxy: {cache: {enabled: true, signed_urls: true}}", []string{"image_proxy.cache.signed_urls is set, but image_proxy.cache.storage is no bucket"}},
		{"keys of a claim", "image_proxy: {cache: {enabled: true, storage: images, size: 20Gi, secret: keys}}", []string{"image_proxy.cache.secret is set, but image_proxy.cache.storage is no bucket"}},
		{"a directory as storage", "image_proxy: {cache: {enabled: true, storage: \"file:///var/cache\"}}", []string{"image_proxy.cache.storage", "is no bucket: write s3://, gs:// or azblob://"}},
		{"a web address as storage", "image_proxy: {cache: {enabled: true, storage: \"https://images.s3.example.com\"}}", []string{"is no bucket: write s3://"}},
		{"no storage", "image_proxy: {cache: {enabled: true, storage: \"\"}}", []string{"image_proxy.cache.storage"}},
		{"a claim that is no name", "image_proxy: {cache: {enabled: true, storage: Images, size: 20Gi}}", []string{"cannot be the name of a PersistentVolumeClaim"}},
		{"a folder of a bucket", "image_proxy: {cache: {enabled: true, storage: \"s3://images/vendor\"}}", []string{"write s3://BUCKET, without a path"}},
		{"signed URLs of an identity", "image_proxy: {cache: {enabled: true, storage: \"gs://images\", signed_urls: true}}", []string{"image_proxy.cache.signed_urls needs a key to sign with"}},
		{"a bucket without a name", "image_proxy: {cache: {enabled: true, storage: \"s3://\"}}", []string{"has no name of a bucket"}},
		{"what Kubernetes would expand", "image_proxy: {cache: {enabled: true, storage: \"s3://images?region=$(POD_NAMESPACE)\"}}", []string{"has a query that is none"}},
		{"staleness in the URL", "image_proxy: {cache: {enabled: true, storage: \"s3://images?region=a&stale=1h\"}}", []string{"has stale in its query: write image_proxy.cache.stale instead"}},
		{"a small cache", "image_proxy: {cache: {enabled: true, size: 100Mi}}", []string{"image_proxy.cache.size", "of 1Gi or more: write 20Gi"}},
		{"a size without a unit that is known", "image_proxy: {cache: {enabled: true, size: 20GiB}}", []string{"of 1Gi or more: write 20Gi"}},
		{"days of staleness", "image_proxy: {cache: {enabled: true, stale: 7d}}", []string{"image_proxy.cache.stale", "is not a duration: write 24h"}},
		{"staleness without a unit", "image_proxy: {cache: {enabled: true, stale: 24}}", []string{"is not a duration: write 24h"}},
		{"the push Secret as a bucket's keys", "{push_secret: {" + secret + "}, image_proxy: {cache: {enabled: true, storage: \"s3://images\", secret: a}}}", []string{`image_proxy.cache.secret: "a" is the push Secret`}},
		{"the token key as a bucket's keys", "image_proxy: {cache: {enabled: true, storage: \"s3://images\", secret: image-proxy-token-key}}", []string{"is a Secret of the package's own"}},
		{"no replicas of the image proxy", "image_proxy: {replicas: 0}", []string{"image_proxy.replicas", ">= 1"}},
		{"too little memory for the image proxy", "image_proxy: {limits: {memory: 1Mi}}", []string{"image_proxy.limits.memory", "of 32Mi or more"}},
		{"dashboard as text", "monitoring: {grafana_dashboard: \"yes\"}", []string{"expected: boolean"}},
		// The ways in.
		{"no way in", "service_proxy: {enabled: false}", []string{"service_proxy.enabled and namespaced_api.enabled are both false", "there is nothing to serve"}},
		{"no way in, said twice", "{service_proxy: {enabled: false}, namespaced_api: {enabled: false}}", []string{"are both false"}},
		{"pulls of what namespaces share", "{allow_pull: true, namespaced_api: {enabled: true, tenancy: tags}}", []string{"allow_pull is true, and namespaced_api.tenancy is tags", "Set allow_pull to false, or tenancy to repositories"}},
		{"tenancy", "namespaced_api: {tenancy: namespaces}", []string{"namespaced_api.tenancy", `"repositories", "tags"`}},
		{"no tenancy", "namespaced_api: {tenancy: \"\"}", []string{"namespaced_api.tenancy", `"repositories", "tags"`}},
		{"repositories on Docker Hub", "{repository: user/source, namespaced_api: {enabled: true}}", []string{"on Docker Hub", "set it to tags"}},
		{"repositories on Docker Hub, by name", "{repository: Docker.io/user/source, namespaced_api: {enabled: true, tenancy: repositories}}", []string{"on Docker Hub", "set it to tags"}},
		{"repositories on a shared Docker Hub", "{shared: {image_registry: {project_path: docker.io/user}}, namespaced_api: {enabled: true}}", []string{"on Docker Hub", "set it to tags"}},
		{"metrics of what is off", "namespaced_api: {metrics_by_namespace: true}", []string{"namespaced_api.metrics_by_namespace is set, but namespaced_api.enabled is false"}},
		{"misspelt key of the API", "namespaced_api: {enable: true}", []string{"found: enable", "enabled"}},
		{"text for the service proxy", "service_proxy: {enabled: \"no\"}", []string{"expected: boolean"}},
		{"the image proxy with the API's certificate", "image_proxy: {registry_secrets: [local-source-proxy-api-certificate]}", []string{"is a Secret of the package's own"}},
		{"policy for nobody, with both ways in", "{network_policy: {enabled: true}, namespaced_api: {enabled: true}}", []string{"network_policy.ingress_cidrs is empty"}},
		// Sizes.
		{"no replicas", "proxy_configuration: {replicas: 0}", []string{"proxy_configuration.replicas", ">= 1"}},
		{"memory without meaning", "proxy_configuration: {limits: {memory: 100 MB}}", []string{"proxy_configuration.limits.memory", "is not an amount of memory"}},
		{"too little memory", "proxy_configuration: {limits: {memory: 100m}}", []string{"is not an amount of memory"}},
		{"far too little memory", "proxy_configuration: {limits: {memory: 100k}}", []string{"of 32Mi or more"}},
		{"CPU as a truth", "proxy_configuration: {limits: {cpu: true}}", []string{"proxy_configuration.limits.cpu", "is not an amount of CPU"}},
		{"memory as a list", "proxy_configuration: {limits: {memory: [100Mi]}}", []string{"proxy_configuration.limits.memory", "is not an amount of memory"}},
		{"CPU without meaning", "proxy_configuration: {limits: {cpu: half}}", []string{"proxy_configuration.limits.cpu", "is not an amount of CPU"}},
		{"too little CPU", "proxy_configuration: {limits: {cpu: 1m}}", []string{"of 10m or more"}},
		// Trust, platform, network.
		{"CA that is a path", "ca_cert_data: /etc/ssl/ca.pem", []string{"ca_cert_data", "is not a PEM bundle"}},
		{"CA cut off", "ca_cert_data: \"-----BEGIN CERTIFICATE-----\\nabc\"", []string{"is not a PEM bundle"}},
		{"private key", "ca_cert_data: \"-----BEGIN RSA PRIVATE KEY-----\\nabc\"", []string{"holds a private key"}},
		{"shared CA", "shared: {ca_cert_data: x}", []string{"shared.ca_cert_data", "is not a PEM bundle"}},
		{"distribution", "kubernetes_distribution: opnshift", []string{"kubernetes_distribution", `"openshift"`}},
		{"old Kubernetes", "kubernetes_version: 1.26.3", []string{"kubernetes_version", "needs Kubernetes 1.27 or newer"}},
		{"old shared Kubernetes", "shared: {kubernetes_version: v1.20.1}", []string{"shared.kubernetes_version", "too old"}},
		{"not a version", "kubernetes_version: latest", []string{"is not a Kubernetes version"}},
		{"policy for nobody", "network_policy: {enabled: true}", []string{"network_policy.ingress_cidrs is empty"}},
		{"addresses without policy", "network_policy: {ingress_cidrs: [192.0.2.1/32]}", []string{"network_policy.enabled is false"}},
		{"admin addresses without policy", "network_policy: {admin_cidrs: [192.0.2.1/32]}", []string{"network_policy.admin_cidrs is set, but network_policy.enabled is false"}},
		{"admin address without length", "network_policy: {enabled: true, ingress_cidrs: [192.0.2.1/32], admin_cidrs: [192.0.2.1]}", []string{"network_policy.admin_cidrs[0]", "has no prefix length"}},
		{"scraper without policy", "monitoring: {scrape_from: {namespace: monitoring}}", []string{"monitoring.scrape_from.namespace is set, but network_policy.enabled is false"}},
		{"scraper of any namespace", "{network_policy: {enabled: true, ingress_cidrs: [192.0.2.1/32]}, monitoring: {scrape_from: {pod_labels: {a: b}}}}", []string{"monitoring.scrape_from.namespace is empty"}},
		{"scraper's namespace", "monitoring: {scrape_from: {namespace: \"*\"}}", []string{"monitoring.scrape_from.namespace", "cannot be the name of a namespace"}},
		{"scraper's labels", "monitoring: {scrape_from: {pod_labels: [a]}}", []string{"monitoring.scrape_from.pod_labels", "must be a mapping of names to texts"}},
		{"scraper's label", "monitoring: {scrape_from: {namespace: a, pod_labels: {a: 1}}}", []string{"a: 1 is not a text"}},
		{"address without length", "network_policy: {enabled: true, ingress_cidrs: [192.0.2.1]}", []string{"network_policy.ingress_cidrs[0]", "has no prefix length"}},
		{"egress to nowhere", "network_policy: {egress: {enabled: true}}", []string{"network_policy.egress.cidrs is empty"}},
		{"egress addresses without policy", "network_policy: {egress: {cidrs: [192.0.2.1/32]}}", []string{"network_policy.egress.enabled is false"}},
		{"exceptions without policy", "network_policy: {egress: {except_cidrs: [192.0.2.1/32]}}", []string{"network_policy.egress.enabled is false"}},
		{"an exception to nothing", "network_policy: {egress: {enabled: true, cidrs: [192.0.2.0/24, \"::/0\"], except_cidrs: [192.0.2.1/32]}}", []string{"has no 0.0.0.0/0"}},
		{"an exception of the other kind", "network_policy: {egress: {enabled: true, cidrs: [0.0.0.0/0], except_cidrs: [\"fe80::/10\"]}}", []string{"has no ::/0"}},
		{"egress address without length", "network_policy: {egress: {enabled: true, cidrs: [192.0.2.1]}}", []string{"network_policy.egress.cidrs[0]", "has no prefix length"}},
		// Token servers.
		{"token server with a scheme", "token_realms: [\"https://auth.example.com\"]", []string{"token_realms[0]", "more than a host"}},
		{"token server with a path", "token_realms: [auth.example.com/token]", []string{"token_realms[0]", "more than a host"}},
		{"not a token server", "token_realms: [auth_.example.com]", []string{"token_realms[0]", "is not a host"}},
		{"no token server", "token_realms: [\"\"]", []string{"token_realms[0]", "length >= 1"}},
		{"impossible address", "network_policy: {enabled: true, ingress_cidrs: [192.0.2.256/32]}", []string{"is not an address range"}},
		{"impossible length", "network_policy: {enabled: true, ingress_cidrs: [192.0.2.1/33]}", []string{"is not an address range"}},
		{"impossible IPv6 length", "network_policy: {enabled: true, ingress_cidrs: [\"2001:db8::/129\"]}", []string{"is not an address range"}},
	}
	templates := productTemplates(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			result := render(t, templates, c.values)
			if result.err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(result.stderr, want) {
					t.Errorf("the message lacks %q:\n%s", want, result.stderr)
				}
			}
		})
	}
}
