// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	// blobSize is what the honest client pushes and pulls.
	blobSize = 256 << 10
	// largeBlob is more than any buffer takes.
	largeBlob = 1 << 30
)

// noTime leaves Last-Modified out.
//
//nolint:gochecknoglobals // a zero value with a name
var noTime time.Time

func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// newTricks returns what a hostile registry does, by the name of the repository.
func (r *registry) newTricks() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"large":      func(w http.ResponseWriter, _ *http.Request) { endless(w, largeBlob) },
		"tags-8":     r.list("tags-8"),
		"tags-64":    r.list("tags-64"),
		"one-tag":    r.list("one-tag"),
		"bomb":       r.bomb,
		"silent":     func(_ http.ResponseWriter, q *http.Request) { r.wait(q) },
		"stops":      r.stops,
		"half":       hijacked("HTTP/1.1 200 OK\r\nContent-Type: app", 0),
		"continue":   hijacked("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", -1),
		"headers":    hijacked("HTTP/1.1 200 OK\r\nX-Long: "+strings.Repeat("x", 9<<20)+"\r\n\r\n", 0),
		"many-lines": hijacked("HTTP/1.1 200 OK\r\n"+strings.Repeat("A: b\r\n", 1<<19)+"\r\n", 0),
		"trailers":   hijackedTrailers(),
		"tokens":     r.tokens,
		"loop":       func(w http.ResponseWriter, q *http.Request) { redirect(w, q.URL.Path) },
		"slow-host":  func(w http.ResponseWriter, _ *http.Request) { redirect(w, "http://"+r.silent.address+"/") },
		"error":      failing,
		"manifest":   manifest,
	}
}

func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// endless sends so many bytes of a blob.
func endless(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	part := make([]byte, 64<<10)
	for sent := int64(0); sent < size; sent += int64(len(part)) {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// tags is a list of about so many bytes.
func tags(size int) []byte {
	out := make([]byte, 0, size+1024)
	out = append(out, `{"name":"x","tags":["v0"`...)
	for i := 1; len(out) < size; i++ {
		out = fmt.Appendf(out, `,"v%063d"`, i)
	}
	return append(out, "]}"...)
}

// oneTag is a list with one tag of so many bytes.
func oneTag(size int) []byte {
	return []byte(`{"name":"x","tags":["` + strings.Repeat("v", size) + `"]}`)
}

// list sends one of the large lists.
func (r *registry) list(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(r.lists[name]()) // who is gone needs no list
	}
}

// bomb is an endless list of tags, compressed: members of a gzip stream follow each other (RFC 1952, section
// 2.2).
func (r *registry) bomb(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	_, err := w.Write(member(`{"name":"x","tags":["v1"`))
	for spaces := member(strings.Repeat(" ", 1<<20)); err == nil && q.Context().Err() == nil; {
		_, err = w.Write(spaces)
	}
}

func member(text string) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	// A buffer takes everything.
	_, _ = io.WriteString(writer, text)
	_ = writer.Close()
	return packed.Bytes()
}

// stops sends the beginning of a large blob.
func (r *registry) stops(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(largeBlob))
	_, _ = w.Write([]byte("the beginning"))
	_ = http.NewResponseController(w).Flush() // who is gone needs no blob
	r.wait(q)
}

// wait ends with the request, or with the registry.
func (r *registry) wait(q *http.Request) {
	select {
	case <-q.Context().Done():
	case <-r.done:
	}
}

// failing is an error of a registry whose words have no end.
func failing(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"errors":[{"code":"UNKNOWN","message":"`)
	part := []byte(strings.Repeat("x", 64<<10))
	for range largeBlob / len(part) {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// manifest is one of four megabytes without its digest, which the proxy has to compute.
func manifest(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", harness.ManifestType)
	const padding = 4_000_000
	fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"padding":%q}`, harness.ManifestType, strings.Repeat("x", padding))
}

// hijacked sends a text as it is, and again for so many times (-1: for ever). Then it waits for the other side
// to end the connection.
func hijacked(text string, again int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		for i := 0; again < 0 || i <= again; i++ {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
		await(conn)
	}
}

// hijackedTrailers is a short answer in chunks, and trailers without end.
func hijackedTrailers() http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\n{}\r\n0\r\n")
		for part := strings.Repeat("A: b\r\n", 1000); err == nil; {
			_, err = io.WriteString(conn, part)
		}
	}
}

// tokens demands one, and has one that does not end.
func (r *registry) tokens(w http.ResponseWriter, q *http.Request) {
	if strings.HasSuffix(q.URL.Path, "/token") {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token":"`)
		part := []byte(strings.Repeat("x", 64<<10))
		for range largeBlob / len(part) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
		return
	}
	challenge(w, "http://"+r.host+"/tokens/token")
}

func challenge(w http.ResponseWriter, realm string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="x",scope="repository:x:pull"`, realm))
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
}

// tokenSize is near the most that the server takes.
const tokenSize = 100 << 10

// guard demands a token for everything, and sells large ones.
func (r *registry) guard(w http.ResponseWriter, q *http.Request) {
	switch {
	case q.URL.Path == "/token":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, r.longToken)
	case q.Header.Get("Authorization") == "":
		challenge(w, "http://"+r.host+"/token")
	default:
		r.honest(w, q)
	}
}

// await reads until the other side ends the connection.
func await(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
