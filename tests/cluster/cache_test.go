// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// Two replicas share what one of them has pulled. With that, a node pulls an image that it never had while the
// vendor's registry is down, and not without a license.
func TestPullsGoOnWithoutTheRegistry(t *testing.T) {
	p := installImageProxy(t)
	p.applyObjects(t)

	step(t, "a claim that both replicas have")
	const claim = "image-cache"
	dir, err := os.MkdirTemp("", "lsp-image-cache-") //nolint:usetesting // another user writes below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	size := values{"storage": "1Gi"}
	apply(t, manifest(t, values{
		"apiVersion": "v1", "kind": "PersistentVolume", "metadata": values{"name": claim},
		"spec": values{
			"accessModes": []string{"ReadWriteMany"}, "capacity": size, "storageClassName": "",
			"hostPath": values{"path": dir}, "persistentVolumeReclaimPolicy": "Retain",
		},
	})+manifest(t, values{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": values{"name": claim, "namespace": namespace},
		"spec": values{
			"accessModes": []string{"ReadWriteMany"}, "resources": values{"requests": size},
			"storageClassName": "", "volumeName": claim,
		},
	}))
	t.Cleanup(func() { // the claim goes with its namespace
		if _, err := try(context.WithoutCancel(t.Context()), "", "delete", "persistentvolume/"+claim, "--wait=false"); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	settings, _ := p.values["image_proxy"].(values)
	settings["cache"] = values{"enabled": true, "storage": claim, "size": "1Gi"}
	install(t, here.versions[1], p.values)
	client := p.client(t)
	ips := p.replicas(t, client)

	step(t, "one replica pulls the image, once")
	p.push(t, "cached", p.runnable(t))
	check := func(ip string) error { return p.validate(client, ip, "cached") }
	if err := check(ips[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "a blob is a hit at the other replica", func() error {
		if err := check(ips[1]); err != nil {
			return err
		}
		if hits := metric(t, ips[1], `lsp_cache_answers_total{kind="blob",result="hit"}`); hits == 0 {
			return fmt.Errorf("%v hits", hits)
		}
		return nil
	})

	step(t, "the vendor's registry stops")
	p.upstream.stop()
	t.Cleanup(func() { p.upstream.start(t) })
	for _, ip := range ips {
		if err := check(ip); err != nil {
			t.Errorf("replica %s: %v", ip, err)
		}
		if stale := metric(t, ip, `lsp_cache_answers_total{kind="manifest",result="stale"}`); stale == 0 {
			t.Errorf("replica %s counts no stale answer", ip)
		}
	}
	p.startPodOf(t, "offline", "cached")
	kubectl(t, "wait", "-n", customerNamespace, "pod/offline", "--for=condition=Ready", "--timeout=2m")

	step(t, "and a license that is revoked opens nothing of what is kept")
	p.edit(t, true, http.StatusForbidden)
	for _, ip := range ips {
		if err := check(ip); err == nil {
			t.Errorf("replica %s gives it out", ip)
		}
	}
	p.edit(t, false, http.StatusOK)
}

// validate pulls all of an image from one replica, and looks at its digests.
func (p *imageProxy) validate(client *http.Client, ip, tag string) error {
	ref, err := name.NewTag(ip + ":5003/proxy/" + appSlug + "/vendor/" + repository + ":" + tag)
	if err != nil {
		return err
	}
	image, err := remote.Image(ref, remote.WithTransport(client.Transport),
		remote.WithAuth(&authn.Basic{Username: "LICENSE_ID", Password: p.id}))
	if err != nil {
		return err
	}
	return validate.Image(image)
}
