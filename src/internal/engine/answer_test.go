// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/engine"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// quirk D11: all errors of a registry's list pass, with their own codes and details; its own names do not.
func TestQuirkD11AllErrors(t *testing.T) {
	one, two := registrytest.Digest([]byte("one")), registrytest.Digest([]byte("two"))
	blob := func(digest string) string {
		return `{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":{"digest":"` + digest + `"}}`
	}
	for _, test := range []struct {
		name, said string
		status     int
		want       string
	}{
		{"two missing blobs", `{"errors":[` + blob(one) + `,` + blob(two) + `]}`, 404, `{"errors":[` + blob(one) + `,` + blob(two) + `]}`},
		{
			"a code of its own", `{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"invalid number of results requested","detail":{"n":-1}}]}`, 400,
			`{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"invalid number of results requested","detail":{"n":-1}}]}`,
		},
		{
			"a detail that is a text", `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":"invalid URL on layer"}]}`, 400,
			`{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":"invalid URL on layer"}]}`,
		},
		{"no detail", `{"errors":[{"code":"DENIED","message":"quota","detail":null}]}`, 409, `{"errors":[{"code":"DENIED","message":"quota"}]}`},
		{
			"names in a detail",
			`{"errors":[{"code":"X","message":"m","detail":{"registry.example.com":["team/code",{"at":"https://minio.internal/?secret"}],"size":12345678901234567890}}]}`, 400,
			`{"errors":[{"code":"X","message":"m","detail":{"size":12345678901234567890,"the registry":["source",{"at":"[address]"}]}}]}`,
		},
		{
			"no code, no words", `{"errors":[{"code":"not a code","message":""},{"message":"second"}]}`, 400,
			`{"errors":[{"code":"UNKNOWN","message":"the registry answered 400 Bad Request"},{"code":"UNKNOWN","message":"second"}]}`,
		},
		{
			"not found, twice", `{"errors":[{"code":"UNKNOWN","message":"a"},{"code":"NOT_FOUND","message":"b"}]}`, 404,
			`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"a"},{"code":"NOT_FOUND","message":"b"}]}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			registry.When("PUT", "/manifests/").AnswerOnceRead(test.status, test.said, "Content-Type", "application/json")
			answer := p.Do("PUT", manifests+"v1", proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType)).Is(test.status)
			if diff := cmp.Diff(test.want, string(answer.Body)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if n := len(test.want); answer.Header.Get("Content-Length") != fmt.Sprint(n) {
				t.Errorf("Content-Length %s of %d", answer.Header.Get("Content-Length"), n)
			}
		})
	}
}

// quirk D11: a list as long as a manifest of many layers makes it passes whole; words have a bound.
func TestQuirkD11LongLists(t *testing.T) {
	var list oci.ErrorBody
	for i := range 300 {
		detail, err := json.Marshal(map[string]string{"digest": registrytest.Digest([]byte{byte(i), byte(i >> 8)})})
		if err != nil {
			t.Fatal(err)
		}
		list.Errors = append(list.Errors, oci.ErrorEntry{Code: oci.ManifestBlobUnknown, Message: strings.Repeat("m", 5000/(i+1)), Detail: detail})
	}
	said, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("PUT", "/manifests/").AnswerOnceRead(404, string(said), "Content-Type", "application/json")
	answer := p.Do("PUT", manifests+"v1", proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType)).Is(404)
	var got oci.ErrorBody
	if err := json.Unmarshal(answer.Body, &got); err != nil || len(got.Errors) != len(list.Errors) {
		t.Fatalf("%d errors of %d: %v", len(got.Errors), len(list.Errors), err)
	}
	if logged := len(p.Log.String()); logged > 20<<10 {
		t.Errorf("%d bytes are logged", logged)
	}
	if len(got.Errors[0].Message) > 1100 || string(got.Errors[299].Detail) != string(list.Errors[299].Detail) {
		t.Errorf("first %d bytes long, last %s", len(got.Errors[0].Message), got.Errors[299].Detail)
	}
}

// quirk U13: tags in the query of a manifest's PUT, and the digest algorithm of an upload, are passed on.
func TestQuirkU13TagsOfAManifest(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	digest := registrytest.Digest(manifest())
	registry.When("PUT", "/manifests/").Edit(func(status int, header http.Header) int {
		header["Oci-Tag"] = []string{"a", "b.1"}
		return status
	})
	put := func(query string) *proxytest.Answer {
		return p.Do("PUT", manifests+digest+query, proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType))
	}
	answer := put("?tag=a&tag=b.1&_state=x").Is(201)
	if diff := cmp.Diff([]string{"a", "b.1"}, answer.Header.Values("OCI-Tag")); diff != "" {
		t.Errorf("OCI-Tag (-want +got):\n%s", diff)
	}
	if sent := p.Network.One(registrytest.Sent("PUT", "/manifests/")); uri(sent) != "/v2/team/code/manifests/"+digest+"?tag=a&tag=b.1" {
		t.Errorf("PUT went to %s", uri(sent))
	}
	for _, query := range []string{"?tag=.bad", "?tag=", "?tag=a&tag=x/y", "?tag=" + strings.Repeat("a", 129), "?tag=sha256:" + digest[7:]} {
		put(query).Fails(400, oci.ManifestInvalid)
	}
}

// quirk U13: see above.
func TestQuirkU13DigestAlgorithm(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	p.Do("POST", uploads+"?digest-algorithm=sha512").Is(202)
	if sent := p.Network.One(registrytest.Sent("POST", "")); sent.Query != "digest-algorithm=sha512" {
		t.Errorf("POST with %q", sent.Query)
	}
	for _, algorithm := range []string{"", "SHA512", "sha512:", "a%26mount%3Db"} {
		p.Do("POST", uploads+"?digest-algorithm="+algorithm).Fails(400, oci.DigestInvalid)
	}
}

// A mount that is refused becomes an upload with the same algorithm.
func TestQuirkU13DigestAlgorithmAfterAMount(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("POST", "/uploads/").Times(1).Answer(400, "")
	p.Do("POST", uploads+"?digest-algorithm=sha512&mount="+registrytest.Digest(layer())+"&from=source").Is(202)
	sent := p.Network.Requests(registrytest.Sent("POST", ""))
	if len(sent) != 2 || sent[1].Query != "digest-algorithm=sha512" {
		t.Errorf("sent %v", sent)
	}
}

// A range that a blob does not have is refused with the blob's length (RFC 9110, section 15.5.17).
func TestARangeThatIsNotThere(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{AllowPull: true})
	registry.When("GET", "/blobs/").Answer(416, "", "Content-Range", "bytes */12000", "X-Own", "x")
	p.Do("GET", "/v2/source/blobs/"+registrytest.Digest(layer()), proxytest.Header("Range", "bytes=20000-")).
		Fails(416, oci.RangeInvalid).Has("Content-Range", "bytes */12000").Has("X-Own", "")
}

// picky is a side that lets one tag be written.
type picky struct{ tag string }

func (picky) Name() string { return "picky" }

func (picky) Read(r *http.Request) (oci.Route, error) {
	return oci.ParseRoute(r.Method, r.URL.EscapedPath())
}

func (p picky) Admit(_ *http.Request, operation oci.Route) (engine.Target, error) {
	if operation.Method != http.MethodPut || operation.Reference != p.tag && oci.IsTag(operation.Reference) {
		return engine.Target{}, oci.Errorf(oci.Denied, "%s %s may not be written", operation.Method, operation.Reference)
	}
	return engine.Target{}, nil
}

// quirk U13: a tag in the query needs the same right as one in the path.
func TestQuirkU13EachTagMayBeWritten(t *testing.T) {
	for query, refused := range map[string]string{
		"tag=mine&tag=theirs": "theirs", "tag=theirs": "theirs", "tag=theirs&tag=mine": "theirs", "%74ag=theirs": "theirs",
	} {
		target := manifests + registrytest.Digest(manifest()) + "?" + query
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPut, target, bytes.NewReader(manifest()))
		err := engine.New(nil).Serve(httptest.NewRecorder(), request, picky{tag: "mine"})
		if e := oci.ErrorFrom(err); e.Code != oci.Denied || !strings.Contains(e.Message, refused) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// A manifest's Location names what the registry names (distribution-spec, "Pushing Manifests"), in the
// client's repository.
func TestLocationOfAManifest(t *testing.T) {
	digest := registrytest.Digest(manifest())
	for location, want := range map[string]string{
		"":                                  "v1",
		"/v2/team/code/manifests/" + digest: digest,
		"https://registry.example.com/v2/team/code/manifests/" + digest + "?x": digest,
		"/v2/team/code/manifests/v1":            "v1",
		"/other/" + digest:                      "v1",
		"/v2/team/code/manifests/..":            "v1",
		"/v2/team/code/manifests/sha256:nothex": "v1",
		"http://%zz/manifests/" + digest:        "v1",
	} {
		p, registry := proxytest.Simple(t, proxytest.Config{})
		registry.When("PUT", "/manifests/").Edit(func(status int, header http.Header) int {
			header.Set("Location", location)
			return status
		})
		p.Do("PUT", manifests+"v1", proxytest.Body(manifest()), proxytest.Header("Content-Type", mediaType)).
			Is(201).Has("Location", manifests+want)
	}
}

// quirk D3: lists and errors that a registry has compressed unasked are read.
func TestQuirkD3CompressedLists(t *testing.T) {
	subject := registrytest.Digest(manifest())
	for _, test := range []struct {
		target, said, want string
		status             int
	}{
		{"/v2/source/tags/list", `{"name":"team/code","tags":["a"]}`, `{"name":"source","tags":["a"]}`, 200},
		{"/v2/source/referrers/" + subject, `{"manifests":[]}`, `{"manifests":[]}`, 200},
		{manifests + "v1", `{"errors":[{"code":"X","message":"m"}]}`, `{"errors":[{"code":"X","message":"m"}]}`, 400},
	} {
		for _, lies := range []bool{false, true} {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			said := zipped(t, test.said)
			if lies {
				said = test.said
			}
			registry.When("GET", "/team/code/").Answer(test.status, said, "Content-Encoding", "gzip", "Content-Type", "application/json")
			answer := p.Do("GET", test.target)
			switch {
			case !lies:
				answer.Is(test.status).Has("Content-Encoding", "")
				if string(answer.Body) != test.want {
					t.Errorf("%s: %q", test.target, answer.Body)
				}
			case test.status == 200:
				answer.Fails(502, oci.Unavailable)
			default:
				answer.Fails(test.status, oci.Unknown)
			}
		}
	}
}

func zipped(t *testing.T, content string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
