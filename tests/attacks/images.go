// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// someDigest is of a blob that the tricks of a registry have, as any.
func someDigest() string { return harness.BlobOf([]byte("some")).Digest }

func blobOf(trick string, headers ...string) func(*attacker) string {
	return func(a *attacker) string { return a.get(trick, "/blobs/"+someDigest(), headers...) }
}

func tagsOf(trick string) func(*attacker) string {
	return func(a *attacker) string { return a.get(trick, "/tags/list") }
}

func referrersOf(trick string) func(*attacker) string {
	return func(a *attacker) string { return a.get(trick, "/referrers/"+someDigest()) }
}

func manifestOf(trick string) func(*attacker) string {
	return func(a *attacker) string { return a.get(trick, "/manifests/v1") }
}

// imagesAttacks are those on the image proxy.
func imagesAttacks() []attack {
	all := []attack{
		{name: "requests for tokens with an endless body", connections: 64, loop: tokenBody(strings.Repeat("x", 16<<10), 20*time.Millisecond)},
		{name: "requests for tokens with a slow body", connections: 400, loop: tokenBody("x", trickle)},
		{name: "requests for tokens with big forms", connections: 64, loop: read(bigForm)},
		{name: "requests for tokens with a body that stops", connections: 800, loop: unread(stoppedForm)},
		{name: "requests for tokens for very many repositories", connections: 64, loop: read(manyScopes)},
		{name: "wrong licenses", connections: 64, loop: read(wrongLicense)},
		{name: "wrong licenses from many addresses", connections: 200, from: spread, loop: read(wrongLicense)},
		{name: "wrong licenses, each from a new address", connections: 200, from: roaming, loop: read(wrongLicense)},
		{name: "ever new repositories, with tokens of 100 KiB", connections: 64, loop: read(newRepository)},
		{name: "a registry whose tokens do not end", connections: 50, loop: read(manifestOf("tokens"))},
		{name: "downloads unread", connections: 200, loop: unread(blobOf("large"))},
		{name: "downloads unread, TLS", connections: 200, tls: true, loop: unread(blobOf("large"))},
		{name: "downloads read by 16 bytes a second", connections: 200, loop: sip(blobOf("large"))},
		{name: "downloads read by 16 bytes a second, TLS", tls: true, connections: 200, loop: sip(blobOf("large"))},
		{name: "half TLS handshakes", tls: true, connections: many, loop: halfHandshake},
		{
			name: "half TLS handshakes from many addresses", tls: true, from: spread, connections: many, loop: halfHandshake,
		},
		{name: "floods of ranges", connections: 64, loop: read(blobOf("large", manyRanges()))},
		{name: "manifests of 4 MB without a digest", connections: 100, loop: read(manifestOf("manifest"))},
	}
	for i := range all {
		all[i].side = images
	}
	return all
}

// tokenBody sends a chunked body for a token that does not end.
func tokenBody(part string, pause time.Duration) func(context.Context, *attacker) error {
	return func(ctx context.Context, a *attacker) error {
		conn, err := a.send(ctx, a.head("POST", "/v2/token", "Content-Type: application/x-www-form-urlencoded",
			"Transfer-Encoding: chunked")+"\r\n")
		if err != nil {
			return err
		}
		defer conn.Close()
		return keep(ctx, conn, fmt.Sprintf("%x\r\n%s\r\n", len(part), part), pause)
	}
}

func form(a *attacker, body string, length int) string {
	return a.head("POST", "/v2/token", "Content-Type: application/x-www-form-urlencoded",
		fmt.Sprintf("Content-Length: %d", length), "Connection: close") + "\r\n" + body
}

func bigForm(a *attacker) string {
	body := "grant_type=password&username=x&password=" + strings.Repeat("x", 9<<20)
	return form(a, body, len(body))
}

func stoppedForm(a *attacker) string { return form(a, "grant_type=password&user", 64<<10) }

func manyScopes(a *attacker) string {
	scopes := strings.Repeat("&scope=repository:"+a.name("x")+":pull", 600)
	return a.head("GET", "/v2/token?service=x"+scopes, license(a.Hostile), "Connection: close") + "\r\n"
}

func wrongLicense(a *attacker) string {
	return a.head("GET", "/v2/"+a.name("")+"/manifests/v1", license(rand.Text()), "Connection: close") + "\r\n"
}

// newRepository asks for one that nobody asked for before, so that its registry sells another token.
func newRepository(a *attacker) string {
	return a.head("GET", "/v2/proxy/"+app+"/guarded/"+strings.ToLower(rand.Text())+"/manifests/v1", license(a.Hostile),
		"Connection: close") + "\r\n"
}

// halfHandshake sends the beginning of a ClientHello, and one byte of it now and then.
func halfHandshake(ctx context.Context, a *attacker) error {
	conn, err := a.tcp(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// A handshake record of 16,000 bytes, in it a ClientHello (RFC 8446, section 4).
	if _, err := conn.Write([]byte{22, 3, 1, 0x3e, 0x80, 1, 0, 0x3e, 0x7c, 3, 3}); err != nil {
		return err
	}
	return keep(ctx, conn, "x", trickle)
}

func manyRanges() string {
	var ranges strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&ranges, ",%d-%d", 2*i, 2*i)
	}
	return "Range: bytes=" + strings.TrimPrefix(ranges.String(), ",")
}
