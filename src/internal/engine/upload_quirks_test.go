// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

const uploads = "/v2/source/blobs/uploads/"

func layer() []byte { return bytes.Repeat([]byte("layer "), 2000) }

// quirk U1: Location may be relative, scheme-less, absolute with the wrong scheme or port, on another path,
// with an opaque query that must stay byte-exact.
func TestQuirkU1LocationForms(t *testing.T) {
	for name, form := range map[string]struct{ location, want string }{
		"path":                   {"/v2/team/code/blobs/uploads/1", "/v2/team/code/blobs/uploads/1"},
		"relative":               {"1?_state=x", "/v2/team/code/blobs/uploads/1?_state=x"},
		"query alone":            {"?id=7", "/v2/team/code/blobs/uploads/?id=7"},
		"absolute":               {"https://registry.example.com/v2/u/1", "/v2/u/1"},
		"absolute, upper case":   {"https://Registry.Example.COM/v2/u/1", "/v2/u/1"},
		"wrong scheme":           {"http://registry.example.com/v2/u/1", "/v2/u/1"},
		"wrong port":             {"https://registry.example.com:5443/v2/u/1", "/v2/u/1"},
		"scheme-relative":        {"//registry.example.com/v2/u/1", "/v2/u/1"},
		"scheme-less":            {"registry.example.com/v2/u/1", "/v2/u/1"},
		"scheme-less with port":  {"registry.example.com:443/v2/u/1?a=b", "/v2/u/1?a=b"},
		"another path":           {"/artifacts-uploads/namespaces/p/uploads/AAx_-=?upload_id", "/artifacts-uploads/namespaces/p/uploads/AAx_-=?upload_id"},
		"opaque query":           {"/v2/u/1?_state=a%2Fb==&x&y=%20+;z~*", "/v2/u/1?_state=a%2Fb==&x&y=%20+;z~*"},
		"escapes in the path":    {"/v2/u/a%2Fb%3D%3d", "/v2/u/a%2Fb%3D%3d"},
		"a space in the query":   {"/v2/u/1?a=b c", "/v2/u/1?a=b%20c"},
		"a space in the path":    {"/v2/u/1 2", "/v2/u/1%202"},
		"double slash":           {"https://registry.example.com//v2//u/1", "//v2//u/1"},
		"query that is a URL":    {"/v2/u/1?to=https://registry.example.com/a?b", "/v2/u/1?to=https://registry.example.com/a?b"},
		"a digest in the query":  {"/v2/u/1?digest=no", "/v2/u/1?digest=no"},
		"an unescaped semicolon": {"/v2/u/1;a=b?c;d", "/v2/u/1;a=b?c;d"},
	} {
		t.Run(name, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			registry.When("POST", "/uploads/").Answer(202, "", "Location", form.location, "Range", "0-0")
			registry.When("PATCH", "/").AnswerOnceRead(202, "")
			registry.When("PUT", "/").AnswerOnceRead(201, "")
			next := p.Do("PATCH", p.Start(), proxytest.Stream(bytes.NewReader(layer()))).Is(202).Location()
			p.Finish(next, layer()).Is(201).Has("Location", "/v2/source/blobs/"+registrytest.Digest(layer()))
			sent := p.Network.One(registrytest.Sent("PATCH", ""))
			if got := uri(sent); got != form.want {
				t.Errorf("PATCH went to %s, want %s", got, form.want)
			}
			separator := "?"
			if strings.Contains(form.want, "?") {
				separator = "&"
			}
			finish := p.Network.One(registrytest.Sent("PUT", ""))
			if got, want := uri(finish), form.want+separator+"digest=sha256%3A"+registrytest.Digest(layer())[7:]; got != want {
				t.Errorf("PUT went to %s, want %s", got, want)
			}
		})
	}
}

func uri(r registrytest.Request) string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

// quirk U1, the other side: an upload that is to be continued on another host is not.
func TestQuirkU1LocationOnAnotherHost(t *testing.T) {
	for _, location := range []string{"https://evil.example.net/u", "//evil.example.net/u", "https://sub.registry.example.com/u", "https://registry.example.com@evil.example.net/u", "evil.example.net:443/u", "mailto:x", ""} {
		t.Run(location, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			registry.When("POST", "/uploads/").Answer(202, "", "Location", location)
			p.Do("POST", uploads).Fails(502, oci.Unavailable).Hides("evil", "mailto").Lacks("Location")
			p.Network.Count(1, registrytest.Sent("POST", ""))
		})
	}
}

// quirk U2: ECR answers PATCH with 201; its Range may stick at the first chunk although data arrived; it has
// a smallest chunk and does not say so.
func TestQuirkU2ECRChunks(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{Host: "123456789012.dkr.ecr.eu-west-1.amazonaws.com"})
	registry.When("PATCH", "/uploads/").Edit(func(_ int, header http.Header) int {
		header.Set("Range", "0-9")
		return http.StatusCreated
	})
	registry.When("GET", "/uploads/").Edit(func(_ int, header http.Header) int {
		header.Set("Range", "0-9")
		return http.StatusNoContent
	})
	next := p.Do("POST", uploads).Is(202).Has("OCI-Chunk-Min-Length", "5242880").Location()
	for i := range 3 {
		content := bytes.Repeat([]byte{'x'}, 10)
		next = p.Do("PATCH", next, proxytest.Body(content), proxytest.Header("Content-Range", fmt.Sprintf("%d-%d", 10*i, 10*i+9))).
			Is(202).Has("Range", fmt.Sprintf("0-%d", 10*i+9)).Location()
	}
	p.Do("GET", next).Is(204).Has("Range", "0-29")
}

// quirk U2: an empty final PUT may be answered 500 although the blob is there.
func TestQuirkU2FinishThatFailedButDidNot(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("PUT", "/uploads/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(nowhere{http.Header{}}, r)
		w.WriteHeader(http.StatusInternalServerError)
	})
	p.PushBlob(layer())
	registry.Holds(proxytest.Repository, layer())
}

// quirk U2, the other side: a final PUT that failed has failed, when the blob is not there.
func TestQuirkU2FinishThatFailed(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("PUT", "/uploads/").Answer(500, `{"errors":[{"code":"UNKNOWN","message":"disk full"}]}`)
	next := p.Do("PATCH", p.Start(), proxytest.Body(layer())).Is(202).Location()
	p.Finish(next, layer()).Fails(500, oci.Unknown).Says("disk full")
}

type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}

// quirk U3: GHCR refuses a chunked request (with Content-Range) over 4 MiB with 416; a monolithic one passes.
func TestQuirkU3FirstChunkRefusedUnreadIsStreamed(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("PATCH", "/uploads/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("Content-Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		next.ServeHTTP(w, r)
	})
	for _, first := range []string{"0-", "bytes 0-"} {
		content := append(layer(), first...)
		next := p.Do("PATCH", p.Start(), proxytest.Body(content), proxytest.Header("Content-Range", fmt.Sprint(first, len(content)-1))).
			Is(202).Has("Range", fmt.Sprintf("0-%d", len(content)-1)).Location()
		p.Finish(next, content).Is(201)
		registry.Holds(proxytest.Repository, content)
	}
}

// quirk U3: one that is refused once it has been read cannot be sent again, and the client is told what to
// change.
func TestQuirkU3ChunkRefusedOnceRead(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("PATCH", "/uploads/").AnswerOnceRead(416, `{"errors":[{"code":"RANGE_INVALID","message":"chunk exceeds 4 MiB"}]}`)
	p.Do("PATCH", p.Start(), proxytest.Body(layer()), proxytest.Header("Content-Range", "0-11999")).
		Fails(400, oci.BlobUploadInvalid).Says("the whole blob in one request").Says("chunk exceeds 4 MiB")
	p.Network.Count(1, registrytest.Sent("PATCH", ""))
}

// quirk U4: Google Artifact Registry takes no chunked uploads: one PATCH or a monolithic PUT.
func TestQuirkU4OnePatchOnly(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	next := p.Do("PATCH", p.Start(), proxytest.Body(layer())).Is(202).Location()
	registry.When("PATCH", "/uploads/").Answer(400, `{"errors":[{"code":"UNSUPPORTED","message":"chunked upload is not supported"}]}`)
	for _, options := range [][]proxytest.Option{
		{proxytest.Body(layer())},
		{proxytest.Body(layer()), proxytest.Header("Content-Range", "12000-23999")},
	} {
		p.Do("PATCH", next, options...).Fails(400, oci.BlobUploadInvalid).Says("in one request").Says("chunked upload is not supported")
	}
}

// quirk U4: a blob in one PUT, and in one POST, passes as such.
func TestQuirkU4Monolithic(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	p.Do("PUT", p.Start()+"?digest="+registrytest.Digest(layer()), proxytest.Body(layer())).Is(201)
	registry.Holds(proxytest.Repository, layer())
	other := []byte("another")
	p.Do("POST", uploads+"?digest="+registrytest.Digest(other), proxytest.Body(other)).Is(201).
		Has("Location", "/v2/source/blobs/"+registrytest.Digest(other)).Has("Docker-Content-Digest", registrytest.Digest(other))
	registry.Holds(proxytest.Repository, other)
}

// quirk U5: OCI-Chunk-Min-Length must reach the client.
func TestQuirkU5ChunkMinLength(t *testing.T) {
	for _, host := range []string{proxytest.Host, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"} {
		p, registry := proxytest.Simple(t, proxytest.Config{Host: host})
		registry.When("POST", "/uploads/").Answer(202, "", "Location", "/v2/u/1", "OCI-Chunk-Min-Length", "10485760")
		p.Do("POST", uploads).Is(202).Has("OCI-Chunk-Min-Length", "10485760")
	}
}

// quirk U6: Range after POST is 0-0, 0--1 or absent; an off-by-one made docker write wrong sizes; some return
// per-chunk ranges.
func TestQuirkU6Ranges(t *testing.T) {
	for _, test := range []struct {
		afterPost, afterFirst, afterSecond, onStatus string
		want                                         []string
	}{
		{"0-0", "0-9", "0-15", "0-15", []string{"0-0", "0-9", "0-15", "0-15"}},
		{"0--1", "0-9", "0-15", "bytes=0-15", []string{"0-0", "0-9", "0-15", "0-15"}},
		{"", "", "", "", []string{"", "0-9", "0-15", "0-15"}},
		{"0-0", "0-10", "0-16", "0-16", []string{"0-0", "0-9", "0-15", "0-15"}}, // one too many
		{"0-0", "0-9", "10-15", "10-15", []string{"0-0", "0-9", "0-15", "0-15"}},
		{"0-0", "0-9", "0-5", "0-5", []string{"0-0", "0-9", "0-15", "0-15"}}, // of the chunk alone
		{"nonsense", "0-x", "-", "0--7", []string{"0-0", "0-9", "0-15", "0-15"}},
		{"0-0", "0-9", "0-15", "0-99", []string{"0-0", "0-9", "0-15", "0-99"}}, // more arrived than was confirmed
	} {
		t.Run(test.afterPost+","+test.afterFirst, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			answers := []string{test.afterPost, test.afterFirst, test.afterSecond, test.onStatus}
			registry.When("", "/uploads/").Edit(func(status int, header http.Header) int {
				header.Del("Range")
				if answers[0] != "" {
					header.Set("Range", answers[0])
				}
				answers = answers[1:]
				return status
			})
			post := p.Do("POST", uploads)
			first := p.Do("PATCH", post.Location(), proxytest.Body(make([]byte, 10)))
			second := p.Do("PATCH", first.Location(), proxytest.Body(make([]byte, 6)))
			status := p.Do("GET", second.Location()).Is(204)
			var got []string
			for _, answer := range []*proxytest.Answer{post, first, second, status} {
				got = append(got, answer.Header.Get("Range"))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}

// quirk U6: "0-0" is one byte as well as none; a session with one byte counts on from one.
func TestQuirkU6OneByte(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	next := p.Do("PATCH", p.Start(), proxytest.Body([]byte("a"))).Is(202).Has("Range", "0-0").Location()
	next = p.Do("GET", next).Is(204).Has("Range", "0-0").Location()
	next = p.Do("PATCH", next, proxytest.Body([]byte("bc")), proxytest.Header("Content-Range", "1-2")).Is(202).Has("Range", "0-2").Location()
	p.Finish(next, []byte("abc")).Is(201)
}

// quirk U6: a chunk that does not begin where the upload stands is told where that is.
func TestQuirkU6ChunkOutOfOrder(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	next := p.Do("PATCH", p.Start(), proxytest.Body([]byte("0123456789"))).Is(202).Location()
	refused := p.Do("PATCH", next, proxytest.Body([]byte("x")), proxytest.Header("Content-Range", "20-20")).
		Fails(416, oci.RangeInvalid).Says("at byte 10").Has("Range", "0-9")
	next = p.Do("PATCH", refused.Location(), proxytest.Body([]byte("ab")), proxytest.Header("Content-Range", "10-11")).Is(202).Has("Range", "0-11").Location()
	p.Finish(next, []byte("0123456789ab")).Is(201)
	registry.Holds(proxytest.Repository, []byte("0123456789ab"))
}
