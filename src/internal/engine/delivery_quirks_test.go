// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// quirk U7: a mount fails on some registries, in any way; the upload is then started without it.
func TestQuirkU7MountRefused(t *testing.T) {
	from := "&from=source%2Fother"
	for _, status := range []int{400, 401, 403, 404, 405, 500, 501, 0} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{AllowSubRepositories: true})
			registry.When("POST", "/uploads/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				switch {
				case r.URL.RawQuery == "":
					next.ServeHTTP(w, r)
				case status == 0:
					panic(http.ErrAbortHandler)
				default:
					w.WriteHeader(status)
				}
			})
			p.Do("POST", uploads+"?mount="+registrytest.Digest(layer())+from).Is(202).Location()
			p.Network.Count(1, registrytest.Sent("POST", ""), func(r registrytest.Request) bool { return r.Query == "" })
		})
	}
}

// quirk U7: a mount without "from" would look through every repository of the registry; it is started
// without.
func TestQuirkU7MountWithoutFrom(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	digest := registry.PutBlob("", layer())
	p.Do("POST", uploads+"?mount="+digest).Is(202).Location()
	if sent := p.Network.One(registrytest.Sent("POST", "")); sent.Query != "" {
		t.Errorf("the registry was asked to mount: %s", sent)
	}
}

// quirk U8: chunked stays chunked, a Content-Length stays one.
func TestQuirkU8Framing(t *testing.T) {
	p, _ := proxytest.Simple(t, proxytest.Config{})
	next := p.Do("PATCH", p.Start(), proxytest.Stream(bytes.NewReader(layer()))).Is(202).Location()
	if sent := p.Network.One(registrytest.Sent("PATCH", "")); !sent.Chunked || sent.Length != -1 || !bytes.Equal(sent.Body, layer()) {
		t.Errorf("a stream arrived chunked: %v, with length %d and %d bytes", sent.Chunked, sent.Length, len(sent.Body))
	}
	p.Network.Forget()
	p.Do("PATCH", next, proxytest.Body(layer())).Is(202)
	if sent := p.Network.One(registrytest.Sent("PATCH", "")); sent.Chunked || sent.Length != int64(len(layer())) {
		t.Errorf("a body with a length arrived chunked: %v, with length %d", sent.Chunked, sent.Length)
	}
}

// quirk U8: a body is not buffered: the registry reads what the client has sent while the client still has it
// in hand.
func TestQuirkU8NothingIsBuffered(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	arrived := make(chan string)
	registry.When("PATCH", "/uploads/").Do(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		part := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, part)
		arrived <- string(part)
		next.ServeHTTP(w, r)
	})
	location := p.Start()
	reader, writer := io.Pipe()
	go func() {
		_, _ = writer.Write([]byte("first"))
		if got := <-arrived; got != "first" {
			t.Errorf("the registry read %q", got)
		}
		_, _ = writer.Write([]byte("second"))
		_ = writer.Close()
	}()
	p.Do("PATCH", location, proxytest.Stream(reader)).Is(202).Has("Range", "0-10")
}

// quirk U8: Expect: 100-continue passes: a client that waits for it is refused without having sent its body.
func TestQuirkU8ExpectContinue(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	location := p.Start()
	expect := proxytest.Header("Expect", "100-continue")
	registry.When("PATCH", "/uploads/").Times(1).Answer(404, "")
	body := &untouched{}
	p.Do("PATCH", location, expect, proxytest.Stream(body)).Fails(404, oci.BlobUploadUnknown)
	if body.read {
		t.Error("the body of a refused upload was asked for")
	}
	next := p.Do("PATCH", location, expect, proxytest.Body(layer())).Is(202).Location()
	p.Finish(next, layer()).Is(201)
	registry.Holds(proxytest.Repository, layer())
}

type untouched struct{ read bool }

func (u *untouched) Read([]byte) (int, error) {
	u.read = true
	return 0, io.EOF
}

// TestControlCharactersAreNotPassedOn: a terminal that prints the registry's message must not be steered by
// it.
func TestControlCharactersAreNotPassedOn(t *testing.T) {
	for name, body := range map[string]string{
		"JSON": `{"errors":[{"code":"DENIED","message":"a\u001b[31mb\u0000c\r\nd\u009be\u202ef","detail":"x\u001b[1m"}]}`,
		"text": "a\x1b[31mb\x00c\r\nd\u009be\u202ef",
	} {
		p, registry := proxytest.Simple(t, proxytest.Config{})
		registry.When("PUT", "/manifests/").AnswerOnceRead(400, body)
		got := p.Do("PUT", manifests+"v1", proxytest.Body([]byte("{}"))).Is(400)
		var answer oci.ErrorBody
		if err := json.Unmarshal(got.Body, &answer); err != nil || len(answer.Errors) != 1 {
			t.Fatalf("%s: %s", name, got.Body)
		}
		message := answer.Errors[0].Message
		if strings.ContainsFunc(message, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }) {
			t.Errorf("%s: the message is %q", name, message)
		}
		got.Says("[31mb").Hides(`\u001b`)
	}
}

// quirk U10: an error page in HTML from a box in between becomes OCI JSON, and keeps the cause.
func TestQuirkU10ErrorPages(t *testing.T) {
	page := `<html><head><style>p{color:red}</style><title>413 Request Entity Too Large</title><script>alert(1)</script></head><body><h1>Too large</h1><p>nginx at registry.example.com</body></html>`
	for _, test := range []struct {
		status int
		code   oci.Code
	}{
		{413, oci.BodyTooLarge}, {502, oci.Unavailable}, {503, oci.Unavailable}, {504, oci.UpstreamTimeout}, {429, oci.TooManyRequests}, {418, oci.Unknown},
		{431, oci.HeaderTooLarge},
	} {
		p, registry := proxytest.Simple(t, proxytest.Config{})
		location := p.Start()
		registry.When("PATCH", "/uploads/").AnswerOnceRead(test.status, page, "Content-Type", "text/html", "Retry-After", "7")
		p.Do("PATCH", location, proxytest.Body(layer())).Fails(test.status, test.code).
			Says("413 Request Entity Too Large Too large nginx").Hides("<", "registry.example.com", "alert", "color").Has("Retry-After", "7")
	}
}
