// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// sourceAttacks are those on the source proxy.
func sourceAttacks() []attack {
	all := []attack{
		{name: "uploads that stall", connections: 1600, loop: stalledUpload},
		{name: "uploads by one byte a second", connections: 1600, loop: slowUpload},
		{name: "uploads announced, never sent", connections: 800, loop: unread(announced)},
		{name: "uploads begun, never finished", connections: 64, loop: read(begin)},
		{name: "manifests that stall", connections: 800, loop: unread(stalledManifest)},
		{name: "manifests of 4 MB, written at once", connections: 100, loop: read(largeManifest)},
		{name: "uploads with forged sessions", connections: 64, loop: read(forged)},
		{
			name: "uploads into a registry that does not read", connections: 200, loop: intoSilence,
		},
		{name: "chunks of one byte", connections: 64, loop: tinyChunks},
		{name: "chunked bodies with endless trailers", connections: 64, loop: endlessTrailers},
		{name: "mounts from ever new repositories", connections: 64, loop: read(foreignMount)},
		{name: "downloads unread", connections: 200, loop: unread(blobOf("large"))},
		{name: "health asked without end", connections: 200, loop: read(health)},
	}
	for i := range all {
		all[i].side = source
	}
	return all
}

// upload begins one in a repository with a trick and returns where it goes on.
func (a *attacker) upload(ctx context.Context) (string, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return a.tcp(ctx) }}
	defer transport.CloseIdleConnections()
	address := a.base() + "/v2/" + a.name("") + "/blobs/uploads/"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	response.Body.Close()
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil || location.Path == "" {
		return "", fmt.Errorf("begin an upload: %s", response.Status)
	}
	return location.Path, nil
}

// patch begins an upload and sends the beginning of a chunk.
func (a *attacker) patch(ctx context.Context, headers []string, body string) (net.Conn, error) {
	path, err := a.upload(ctx)
	if err != nil {
		return nil, err
	}
	return a.send(ctx, a.head("PATCH", path, headers...)+"\r\n"+body)
}

func stalledUpload(ctx context.Context, a *attacker) error {
	conn, err := a.patch(ctx, []string{"Content-Length: 1000000"}, strings.Repeat("x", 40_000))
	if err != nil {
		return err
	}
	defer conn.Close()
	await(conn)
	return nil
}

func slowUpload(ctx context.Context, a *attacker) error {
	conn, err := a.patch(ctx, []string{"Content-Length: 1000000"}, strings.Repeat("x", 40_000))
	if err != nil {
		return err
	}
	defer conn.Close()
	return keep(ctx, conn, "x", trickle)
}

func tinyChunks(ctx context.Context, a *attacker) error {
	conn, err := a.patch(ctx, []string{"Transfer-Encoding: chunked"}, "")
	if err != nil {
		return err
	}
	defer conn.Close()
	part := strings.Repeat("1;"+strings.Repeat("e", 100)+"\r\nx\r\n", 100)
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, part); err != nil {
			return err
		}
	}
	return nil
}

func endlessTrailers(ctx context.Context, a *attacker) error {
	conn, err := a.patch(ctx, []string{"Transfer-Encoding: chunked"}, "1\r\nx\r\n0\r\n")
	if err != nil {
		return err
	}
	defer conn.Close()
	return keep(ctx, conn, strings.Repeat("a: b\r\n", 1000), breath)
}

func foreignMount(a *attacker) string {
	return a.head("POST", "/v2/"+a.name(strings.ToLower(rand.Text()))+"/blobs/uploads/?mount="+someDigest()+
		"&from="+a.name(strings.ToLower(rand.Text())), "Content-Length: 0", "Connection: close") + "\r\n"
}

// intoSilence sends a manifest to a registry that takes the connection and nothing else.
func intoSilence(ctx context.Context, a *attacker) error {
	conn, err := a.send(ctx, a.head("PUT", "/v2/"+a.name("silent")+"/manifests/v1", "Content-Length: 3000000")+"\r\n")
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Repeat(" ", 3_000_000)); err != nil {
		return err
	}
	await(conn)
	return nil
}

func announced(a *attacker) string {
	return a.head("PUT", "/v2/"+a.name("")+"/manifests/v1", "Content-Length: 1000", "Expect: 100-continue") + "\r\n"
}

func begin(a *attacker) string {
	return a.head("POST", "/v2/"+a.name("")+"/blobs/uploads/", "Content-Length: 0", "Connection: close") + "\r\n"
}

func stalledManifest(a *attacker) string {
	return a.head("PUT", "/v2/"+a.name("")+"/manifests/v1", "Content-Length: 1000") + "\r\n{"
}

func largeManifest(a *attacker) string {
	const size = 4_000_000
	return a.head("PUT", "/v2/"+a.name("")+"/manifests/v1", fmt.Sprintf("Content-Length: %d", size),
		"Content-Type: "+harness.ManifestType, "Connection: close") + "\r\n" + strings.Repeat(" ", size)
}

func forged(a *attacker) string {
	return a.head("PATCH", "/v2/"+a.name("")+"/blobs/uploads/"+strings.Repeat("A", 8000), "Content-Length: 0",
		"Connection: close") + "\r\n"
}

func health(a *attacker) string { return a.head("GET", "/health", "Connection: close") + "\r\n" }
