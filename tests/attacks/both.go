// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
)

// many is a little more than the connections that a server of 2,048 takes.
const many = 2100

// bothAttacks are those that both sides have to hold out.
func bothAttacks() []attack {
	return append([]attack{
		{name: "idle connections", connections: many, loop: idle},
		{name: "idle connections from many addresses", from: spread, connections: many, loop: idle},
		{name: "connections that say nothing", connections: many, loop: unread(nothing)},
		{name: "half headers", connections: many, loop: halfHeader},
		{name: "half headers from many addresses", from: spread, connections: many, loop: halfHeader},
		{name: "connections opened and reset", connections: 200, loop: reset},
		{name: "large headers", connections: 600, loop: halfLargeHeader(strings.Repeat("x", 60<<10))},
		{name: "headers of many lines", connections: 600, loop: halfLargeHeader(strings.Repeat("a: b\r\n", 9000))},
		{name: "requests pipelined, answers unread", connections: 200, loop: pipelined},
		{name: "answers to bodies that stop", connections: 800, loop: unread(bodyToNothing)},
	}, registryAttacks()...)
}

// registryAttacks are those of a hostile registry; somebody has to ask it.
func registryAttacks() []attack {
	return []attack{
		{name: "lists of tags of 7.9 MiB", connections: 20, loop: read(tagsOf("tags-8"))},
		{name: "lists of tags of 64 MiB", connections: 20, loop: read(tagsOf("tags-64"))},
		{name: "lists of tags of 64 MiB, unread", connections: 100, loop: unread(tagsOf("tags-64"))},
		{name: "lists of one tag of 64 MiB", connections: 20, loop: read(tagsOf("one-tag"))},
		{name: "lists of referrers of 64 MiB", connections: 20, loop: read(referrersOf("tags-64"))},
		{name: "manifests of 64 MiB", connections: 20, loop: read(manifestOf("tags-64"))},
		{name: "lists of tags that unpack without end", connections: 20, loop: read(tagsOf("bomb"))},
		{name: "a registry that never answers", connections: 500, loop: read(manifestOf("silent"))},
		{
			name: "a registry that never answers, many askers", from: spread, connections: 1000, loop: read(blobOf("silent")),
			open: "the one registry of a source proxy is everybody's: who waits for it has a place until the bound",
		},
		{name: "a registry that sends half a header", connections: 500, loop: read(manifestOf("half"))},
		{name: "a registry whose blobs stop", connections: 500, loop: read(blobOf("stops"))},
		{name: "a registry with endless 1xx", connections: 50, loop: read(manifestOf("continue"))},
		{name: "a registry with headers of 9 MiB", connections: 50, loop: read(manifestOf("headers"))},
		{name: "a registry with 500,000 lines of header", connections: 50, loop: read(manifestOf("many-lines"))},
		{name: "a registry with endless trailers", connections: 50, loop: read(manifestOf("trailers"))},
		{name: "a registry with endless errors", connections: 50, loop: read(manifestOf("error"))},
		{name: "a registry that redirects in a circle", connections: 64, loop: read(blobOf("loop"))},
		{name: "a registry that redirects to a silent host", connections: 500, loop: read(blobOf("slow-host"))},
	}
}

// idle asks once and keeps the connection.
func idle(ctx context.Context, a *attacker) error {
	conn, err := a.send(ctx, a.head("GET", "/v2/")+"\r\n")
	if err != nil {
		return err
	}
	defer conn.Close()
	await(conn)
	return nil
}

func nothing(*attacker) string { return "" }

func halfHeader(ctx context.Context, a *attacker) error {
	conn, err := a.send(ctx, a.head("GET", "/v2/"))
	if err != nil {
		return err
	}
	defer conn.Close()
	return keep(ctx, conn, "x: y\r\n", trickle)
}

// halfLargeHeader has so much of a header sent, and does not end it.
func halfLargeHeader(text string) func(context.Context, *attacker) error {
	return func(ctx context.Context, a *attacker) error {
		conn, err := a.send(ctx, a.head("GET", "/v2/")+"X: "+text)
		if err != nil {
			return err
		}
		defer conn.Close()
		await(conn)
		return nil
	}
}

// reset ends a connection by a reset, with a request in it.
func reset(ctx context.Context, a *attacker) error {
	conn, err := a.tcp(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return err
		}
	}
	_, err = io.WriteString(conn, a.get("large", "/blobs/"+someDigest()))
	return err
}

// pipelined sends requests as long as the connection takes them, and reads no answer.
func pipelined(ctx context.Context, a *attacker) error {
	conn, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	part := strings.Repeat(a.head("GET", "/v2/")+"\r\n", 500)
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, part); err != nil {
			return err
		}
	}
	return nil
}

// bodyToNothing announces a body for what does not exist, and sends none of it.
func bodyToNothing(a *attacker) string {
	return a.head("POST", "/v2/"+a.name("")+"/nothing", fmt.Sprintf("Content-Length: %d", largeBlob)) + "\r\n"
}
