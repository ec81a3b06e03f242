// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const licenseID = "2ZEXAMPLELICENSEID"

// licensed reads with the license.
func licensed(t *testing.T, d *double, keychain authn.Keychain) *Registries {
	t.Helper()
	source, err := NewRegistries(License{ID: licenseID, Hosts: []string{d.host}}, keychain, http.DefaultTransport, 2)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestTheLicenseGoesToItsHostAlone, whatever that host says: its challenge names a token server elsewhere, or its
// blobs are elsewhere.
func TestTheLicenseGoesToItsHostAlone(t *testing.T) {
	v, other := newVendor(t), newDouble(t)
	other.host = strings.Replace(other.host, "127.0.0.1", "localhost", 1)
	var shown []string
	other.answer(func(w http.ResponseWriter, r *http.Request) bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		shown = append(shown, fmt.Sprint(r.URL, r.Header))
		_, _ = io.WriteString(w, `{"token":"x"}`)
		return true
	})
	v.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+other.host+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	results, err := (&Copier{Source: licensed(t, v.double, nil), Target: target(t, newDouble(t)), Concurrency: 1}).Copy(t.Context(), v.images())
	want := other.host + " asks for the license, which is for [" + v.host + "] alone"
	if err != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), want) {
		t.Errorf("%v %+v", err, results)
	}
	v.answer(func(w http.ResponseWriter, r *http.Request) bool {
		_, password, _ := r.BasicAuth()
		switch {
		case password != licenseID:
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		case strings.Contains(r.URL.Path, "/blobs/"):
			http.Redirect(w, r, "http://"+other.host+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	_, _ = (&Copier{Source: licensed(t, v.double, nil), Target: target(t, newDouble(t)), Concurrency: 1}).Copy(t.Context(), v.images())
	other.mu.Lock()
	defer other.mu.Unlock()
	if len(shown) == 0 {
		t.Error("nothing was redirected")
	}
	for _, one := range shown {
		if strings.Contains(one, licenseID) || strings.Contains(one, "Authorization") {
			t.Errorf("the other host was shown %s", one)
		}
	}
}

// everywhere has a credential for every host.
type everywhere struct{}

func (everywhere) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "x", Password: "of-the-docker-config"}, nil
}

// TestCredentialsOfOtherHosts: those of the docker config are not shown to the license's host, nor the license to
// theirs.
func TestCredentialsOfOtherHosts(t *testing.T) {
	v := newVendor(t)
	for host, want := range map[string]string{v.host: licenseID, "quay.io": "of-the-docker-config"} {
		credential, err := licensed(t, v.double, everywhere{}).Resolve(resource(host))
		if err != nil {
			t.Fatal(err)
		}
		config, err := credential.Authorization()
		if err != nil || config.Password != want {
			t.Errorf("%s is shown %+v, %v", host, config, err)
		}
	}
	if credential, err := licensed(t, v.double, nil).Resolve(resource("quay.io")); credential != authn.Anonymous || err != nil {
		t.Errorf("without a docker config: %v, %v", credential, err)
	}
}

type resource string

func (r resource) String() string      { return string(r) + "/x" }
func (r resource) RegistryStr() string { return string(r) }

// TestAnotherSignatureStays: it may be the customer's own.
func TestAnotherSignatureStays(t *testing.T) {
	v, at := newVendor(t), newDouble(t)
	tag := fallbackTag(v.index) + ".sig"
	theirs := at.put("mirror/vendor.example/team/api", tag, image(t))
	results := mustCopy(t, v.source(), target(t, at), v.images())
	if want := "the target has another " + tag + ", which stays as it is"; len(results[0].Notes) != 1 || results[0].Notes[0] != want {
		t.Errorf("notes %q", results[0].Notes)
	}
	got, there, err := target(t, at).digest(t.Context(), "vendor.example/team/api", tag)
	if err != nil || !there || got != theirs {
		t.Errorf("%s, %v, %v", got, there, err)
	}
}

// TestAttachedIsWithheld: a license that opens an image need not open what refers to it.
func TestAttachedIsWithheld(t *testing.T) {
	v, at := newVendor(t), newDouble(t)
	v.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") || strings.Contains(r.URL.Path, "/manifests/sha256-") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	results := mustCopy(t, v.source(), target(t, at), v.images())
	if got := strings.Join(results[0].Notes, "; "); got != "the registry refuses its referrers; the registry refuses its signatures" {
		t.Errorf("notes %q", got)
	}
	v.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	if _, err := v.source().referrers(t.Context(), v.images()[0], v.index); err == nil || !strings.Contains(err.Error(), "answers 500") {
		t.Errorf("an error is no refusal: %v", err)
	}
}

// TestReferrersOnPages: all pages count, and a registry that has no end of them is an error.
func TestReferrersOnPages(t *testing.T) {
	v := newVendor(t, registry.WithReferrersSupport(true))
	pages := 3
	v.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		if page+1 < pages {
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, page+1))
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		_, _ = fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[{"digest":"sha256:%064x","size":1}]}`, page)
		return true
	})
	all, err := v.source().referrers(t.Context(), v.images()[0], v.index)
	if err != nil || len(all) != pages {
		t.Errorf("%d referrers, %v", len(all), err)
	}
	pages = 1 << 20
	if _, err := v.source().referrers(t.Context(), v.images()[0], v.index); err == nil || !strings.Contains(err.Error(), "more than 100 pages") {
		t.Errorf("%v", err)
	}
}

// TestEnded: a license that has ended refuses everything, one that does not open an image refuses that one.
func TestEnded(t *testing.T) {
	v := newVendor(t)
	refusal := answer{"x", errRefused}
	for status, want := range map[int]bool{http.StatusOK: false, http.StatusForbidden: true, http.StatusUnauthorized: true, http.StatusBadGateway: false} {
		v.answer(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			return true
		})
		source := licensed(t, v.double, nil)
		if got := source.Ended(t.Context(), fmt.Errorf("copy: %w", refusal)); got != want {
			t.Errorf("%d: %v", status, got)
		}
		if source.Ended(t.Context(), errors.New("another error")) {
			t.Error("an error that is no refusal is taken for one")
		}
	}
}

// TestContent: what a manifest names, whatever its kind.
func TestContent(t *testing.T) {
	digest := func(n int) string { return fmt.Sprintf(`"digest":"sha256:%064x","size":1`, n) }
	for name, tt := range map[string]struct {
		raw, err string
		blobs    int
	}{
		"an image":              {`{"config":{` + digest(1) + `},"layers":[{` + digest(2) + `},{` + digest(2) + `}]}`, "", 2},
		"an artifact":           {`{"blobs":[{` + digest(1) + `}]}`, "", 1},
		"an index":              {`{"manifests":[{` + digest(1) + `}]}`, "", 0},
		"a foreign layer":       {`{"layers":[{"mediaType":"` + string(types.DockerForeignLayer) + `",` + digest(1) + `}]}`, "", 0},
		"nothing":               {`{}`, "", 0},
		"schema 1":              {`{"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]}`, "has schema 1", 0},
		"no JSON":               {`<html>`, "read the manifest", 0},
		"a digest that is none": {`{"layers":[{"digest":"x"}]}`, "read the manifest", 0},
	} {
		c, err := manifest{raw: []byte(tt.raw)}.content()
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || err == nil && len(c.all()) != tt.blobs {
			t.Errorf("%s: %v, %v", name, c.all(), err)
		}
	}
}

// deep is a source of indexes without an end.
type deep struct{ Source }

func (deep) manifest(_ context.Context, _ Image, reference string) (manifest, error) {
	n, _ := strconv.Atoi(strings.TrimLeft(strings.TrimPrefix(reference, "sha256:"), "0"))
	raw := fmt.Sprintf(`{"manifests":[{"mediaType":%q,"digest":"sha256:%064d","size":1}]}`, types.OCIImageIndex, n+1)
	return manifest{raw: []byte(raw), mediaType: types.OCIImageIndex, digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064d", n)}}, nil
}

func TestIndexesWithoutAnEnd(t *testing.T) {
	results, err := (&Copier{Source: deep{}, Target: target(t, newDouble(t)), Concurrency: 1}).Copy(t.Context(), []Image{{Name: "x", Path: "x", Tag: "v1"}})
	if err != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), "lies more than 8 indexes deep") {
		t.Errorf("%v %+v", err, results)
	}
}

// TestLongNames are refused ahead of the registry, which may do so in a way of its own.
func TestLongNames(t *testing.T) {
	_, _, err := target(t, newDouble(t)).digest(t.Context(), strings.Repeat("a/", 124)+"b", "v1")
	if err == nil || !strings.Contains(err.Error(), "no registry takes this name below --to: ") {
		t.Errorf("%v", err)
	}
}
