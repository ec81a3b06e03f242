// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Names of a vendor and a customer.
const (
	appSlug           = "my-app"
	license           = "acme"
	vendorSecret      = "vendor-pull"
	certificateSecret = "images-tls"
	customerNamespace = "customer"
	objectGroup       = "imageproxy.apps.tanzu.vmware.com"
)

// imageProxy is the image proxy as it is installed, and what one customer has.
type imageProxy struct {
	upstream *upstream
	// id is the license's.
	id string
	// address is where the node pulls from: the Service's port on it.
	address string
	values  values
}

// installImageProxy turns on the image proxy where the package ran without it, for an upstream that has a
// vendor's image.
func installImageProxy(t *testing.T) *imageProxy {
	t.Helper()
	return installImageProxyOf(t, here.versions[0], here.versions[1])
}

// installImageProxyOf is installImageProxy with other versions: the one without the image proxy, and the one with.
func installImageProxyOf(t *testing.T, without, with string) *imageProxy {
	t.Helper()
	t.Cleanup(func() { removeImageProxy(t) }) // after what explains a failure
	p := &imageProxy{upstream: installVersionFor(t, without, nil), id: rand.Text()}
	p.pushImage(t)

	step(t, "the vendor's certificate, and a credential for the image proxy")
	apply(t, manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata":   values{"name": certificateSecret, "namespace": namespace},
		"stringData": values{"tls.crt": here.secret(t, "registry.crt") + "\n", "tls.key": here.secret(t, "registry.key") + "\n"},
	})+manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
		"metadata":   values{"name": vendorSecret, "namespace": namespace},
		"stringData": values{".dockerconfigjson": p.upstream.dockerConfig(p.upstream.user, p.upstream.password)},
	}))
	p.values = valuesFor(t, p.upstream, values{"image_proxy": values{
		"enabled": true, "replicas": 2, "registry_secrets": []string{vendorSecret}, "tls_secret": certificateSecret,
		"service": values{"type": "NodePort"},
	}})
	// The version before had no the image proxy.
	install(t, with, p.values)
	for _, pod := range podsOf(t, "image-proxy") {
		step(t, "%s is ready after %d restarts", pod.name, pod.restarts)
	}
	p.trust(t)
	return p
}

// pushImage puts an image into the upstream that a pod can run, with a layer that no node has.
func (p *imageProxy) pushImage(t *testing.T) {
	t.Helper()
	p.push(t, "app", p.runnable(t))
}

// push puts an image into the upstream under a tag.
func (p *imageProxy) push(t *testing.T, tag string, image v1.Image) {
	t.Helper()
	to, err := name.NewTag(clientName + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, image, remote.WithContext(t.Context()), remote.WithTransport(as(t, "developer"))); err != nil {
		t.Fatal(err)
	}
}

// runnable is an image that waits to be ended, with a layer that no node has.
func (p *imageProxy) runnable(t *testing.T) v1.Image {
	t.Helper()
	pause, err := name.ParseReference(nodeIP + ":5000/pause:1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(pause, remote.WithContext(t.Context()), remote.WithTransport(&http.Transport{TLSClientConfig: trusting(t, "ca.crt")}))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := random.Layer(1<<20, types.DockerLayer)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		t.Fatal(err)
	}
	return image
}

// trust has the node's containerd pull from the Service's port with the CA, as an administrator of the
// customer's would set it up.
func (p *imageProxy) trust(t *testing.T) {
	t.Helper()
	p.address = nodeIP + ":" + kubectl(t, "get", "service", "-n", namespace, "image-proxy", "-o", "jsonpath={.spec.ports[0].nodePort}")
	dir := filepath.Join(here.dir, "etc", "hosts", p.address)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	hosts := fmt.Sprintf("[host.\"https://%s\"]\n  ca = %q\n", p.address, filepath.Join(here.dir, "pki", "ca.crt"))
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(hosts), 0o600); err != nil {
		t.Fatal(err)
	}
}

// removeImageProxy uninstalls, and takes away what outlives that: other tests begin without.
func removeImageProxy(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the test's own has ended
	defer cancel()
	for _, what := range [][]string{
		{"namespace", customerNamespace},
		{"packageinstall", "-n", installNamespace, "profiles", "local-source-proxy"},
		{"customresourcedefinition", "licenses." + objectGroup, "externalregistries." + objectGroup},
		{"namespace", namespace},
	} {
		if _, err := try(ctx, "", append([]string{"delete", "--ignore-not-found"}, what...)...); err != nil {
			t.Errorf("left behind: %v", err)
		}
	}
}

// object is one of the image proxy's.
func object(kind, name string, spec values) values {
	return values{
		"apiVersion": objectGroup + "/v1alpha1", "kind": kind,
		"metadata": values{"name": name, "namespace": namespace}, "spec": spec,
	}
}

// applyObjects writes the vendor's registry and the customer's license, and waits until both are in force.
func (p *imageProxy) applyObjects(t *testing.T) {
	t.Helper()
	sum := sha256.Sum256([]byte(p.id))
	apply(t, manifest(t, object("ExternalRegistry", "vendor", values{
		"hostname": p.upstream.host, "alias": "vendor", "appAccess": []string{appSlug},
		"credentials": values{"secretRef": values{"name": vendorSecret}}, "caCertData": here.secret(t, "ca.crt") + "\n",
	}))+manifest(t, object("License", license, values{
		"appSlug": appSlug, "customerName": "Acme", "credentials": []values{{"name": "license-id", "sha256": hex.EncodeToString(sum[:])}},
	})))
	for _, each := range []string{"externalregistry/vendor", "license/" + license} {
		kubectl(t, "wait", "-n", namespace, each, "--for=condition=Valid", "--timeout=1m")
	}
}

// status asks one replica for the image's manifest, with the license.
func (p *imageProxy) status(ctx context.Context, client *http.Client, ip string) (int, error) {
	const path = "/v2/proxy/" + appSlug + "/vendor/" + repository + "/manifests/app"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+ip+":5003"+path, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", string(types.DockerManifestSchema2)+", "+string(types.OCIManifestSchema1))
	r.SetBasicAuth("LICENSE_ID", p.id)
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// replicas are the pods' addresses, once all of them give out the image.
func (p *imageProxy) replicas(t *testing.T, client *http.Client) []string {
	t.Helper()
	var ips []string
	eventually(t, 2*time.Minute, "two replicas give out the image", func() error {
		ips = nil
		for _, pod := range podsOf(t, "image-proxy") {
			if pod.deleted || !pod.ready {
				continue
			}
			status, err := p.status(t.Context(), client, pod.ip)
			if err != nil {
				return fmt.Errorf("pod %s: %w", pod.name, err)
			}
			if status != http.StatusOK {
				return fmt.Errorf("pod %s: status %d", pod.name, status)
			}
			ips = append(ips, pod.ip)
		}
		if len(ips) != 2 {
			return fmt.Errorf("%d are ready", len(ips))
		}
		return nil
	})
	return ips
}

// client reaches the replicas by their own addresses, with the certificate of the node's.
func (p *imageProxy) client(t *testing.T) *http.Client {
	t.Helper()
	config := trusting(t, "ca.crt")
	config.ServerName = nodeIP
	inner := &http.Transport{TLSClientConfig: config}
	t.Cleanup(inner.CloseIdleConnections)
	return &http.Client{Transport: inner}
}

// edit sets whether the license is revoked, and prints how long each replica took to act on it, kubectl's own
// time included.
func (p *imageProxy) edit(t *testing.T, revoked bool, want int) {
	t.Helper()
	client, pods := p.client(t), podsOf(t, "image-proxy")
	var watching sync.WaitGroup
	started := time.Now()
	for _, pod := range pods {
		watching.Go(func() {
			for time.Since(started) < 2*time.Minute {
				if status, err := p.status(t.Context(), client, pod.ip); err == nil && status == want {
					step(t, "%s answers %d, %d ms after kubectl was started", pod.name, want, time.Since(started).Milliseconds())
					return
				}
			}
			t.Errorf("%s does not answer %d", pod.name, want)
		})
	}
	kubectl(t, "patch", "license", "-n", namespace, license, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"revoked":%v}}`, revoked))
	step(t, "kubectl took %d ms", time.Since(started).Milliseconds())
	watching.Wait()
}

// startPod has the customer's cluster run the image, which is always pulled.
func (p *imageProxy) startPod(t *testing.T, pod string) {
	t.Helper()
	p.startPodOf(t, pod, "app")
}

// startPodOf is startPod for the image with a tag.
func (p *imageProxy) startPodOf(t *testing.T, pod, tag string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte("LICENSE_ID:" + p.id))
	secret := appSlug + "-registry"
	apply(t, manifest(t, values{"apiVersion": "v1", "kind": "Namespace", "metadata": values{"name": customerNamespace}}))
	kubectl(t, "wait", "-n", customerNamespace, "serviceaccount/default", "--for=create", "--timeout=1m")
	apply(t, manifest(t, values{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
		"metadata":   values{"name": secret, "namespace": customerNamespace},
		"stringData": values{".dockerconfigjson": fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, p.address, auth)},
	})+manifest(t, values{
		"apiVersion": "v1", "kind": "Pod", "metadata": values{"name": pod, "namespace": customerNamespace},
		"spec": values{
			"imagePullSecrets": []values{{"name": secret}}, "terminationGracePeriodSeconds": 0,
			"containers": []values{{"name": "app", "image": p.address + "/proxy/" + appSlug + "/vendor/" + repository + ":" + tag, "imagePullPolicy": "Always"}},
		},
	}))
}
