// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// attack is one way to take the server away from others.
type attack struct {
	name string
	side side
	// tls serves with it.
	tls bool
	// from says which addresses the connections come from.
	from origin
	// open says why the server does not hold yet; the outcome is then only recorded.
	open string
	// connections run loop at once, again and again.
	connections int
	loop        func(ctx context.Context, a *attacker) error
}

// origin is where connections come from.
type origin int

const (
	// one address for all of them.
	one origin = iota
	// spread is an address for each attacker.
	spread
	// roaming is a new address for each connection.
	roaming
)

// attacker is one connection's end that means no good.
type attacker struct {
	target
	trusted *tls.Config
	number  int
	from    origin
}

const (
	// breath is the pause of an attacker whose connection ended.
	breath = 50 * time.Millisecond
	// trickle is how often a slow attacker sends something.
	trickle = time.Second
)

// launch runs the attack until the context ends, and waits for all attackers.
func (a *attack) launch(ctx context.Context, target target) {
	trusted := target.trust()
	var group sync.WaitGroup
	for i := range a.connections {
		group.Go(func() {
			attacker := &attacker{target: target, trusted: trusted, number: i, from: a.from}
			ticker := time.NewTicker(breath)
			defer ticker.Stop()
			for ctx.Err() == nil {
				// Being refused is what attackers have to live with: they come again.
				_ = a.loop(ctx, attacker)
				select {
				case <-ctx.Done():
				case <-ticker.C:
				}
			}
		})
	}
	group.Wait()
}

// tcp opens a connection from the attacker's address. It is closed when the context ends.
func (a *attacker) tcp(ctx context.Context) (net.Conn, error) {
	from := net.IPv4(127, 1, 1, 1)
	switch a.from {
	case spread:
		from = net.IPv4(127, 2, byte(a.number/250), byte(1+a.number%250))
	case roaming:
		// No address twice, as good as ever, and none that another client has.
		from = net.IPv4(127, byte(16+rand.IntN(200)), byte(rand.IntN(256)), byte(1+rand.IntN(254)))
	case one:
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", a.Address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return conn, nil
}

// dial is tcp, with TLS where the server has it.
func (a *attacker) dial(ctx context.Context) (net.Conn, error) {
	conn, err := a.tcp(ctx)
	if err != nil || a.trusted == nil {
		return conn, err
	}
	secure := tls.Client(conn, a.trusted)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// send opens a connection and sends a text.
func (a *attacker) send(ctx context.Context, text string) (net.Conn, error) {
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// head is the first lines of a request, without the empty one.
func (a *attacker) head(method, path string, headers ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(append(headers, ""), "\r\n")
}

// get is a whole request for a path below a repository with a trick, with the license that attackers have.
func (a *attacker) get(trick, path string, headers ...string) string {
	if a.Hostile != "" {
		headers = append(headers, license(a.Hostile))
	}
	return a.head("GET", "/v2/"+a.name(trick)+path, headers...) + "\r\n"
}

func license(id string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("license:"+id))
}

// keep sends a part again and again, with pauses, until the connection or the context ends.
func keep(ctx context.Context, conn net.Conn, part string, pause time.Duration) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if _, err := io.WriteString(conn, part); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// neglect leaves a connection alone: nothing is sent, nothing is read. It comes again after a while: the
// server may have given up.
func neglect(ctx context.Context) {
	const while = 75 * time.Second
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// unread asks and reads nothing.
func unread(request func(a *attacker) string) func(context.Context, *attacker) error {
	return func(ctx context.Context, a *attacker) error {
		conn, err := a.send(ctx, request(a))
		if err != nil {
			return err
		}
		defer conn.Close()
		neglect(ctx)
		return nil
	}
}

// read asks, and reads all that comes as fast as it can.
func read(request func(a *attacker) string) func(context.Context, *attacker) error {
	return func(ctx context.Context, a *attacker) error {
		conn, err := a.send(ctx, request(a))
		if err != nil {
			return err
		}
		defer conn.Close()
		await(conn)
		return nil
	}
}

// sip asks, and reads a few bytes a second.
func sip(request func(a *attacker) string) func(context.Context, *attacker) error {
	return func(ctx context.Context, a *attacker) error {
		conn, err := a.send(ctx, request(a))
		if err != nil {
			return err
		}
		defer conn.Close()
		ticker := time.NewTicker(trickle)
		defer ticker.Stop()
		few := make([]byte, 16)
		for {
			if _, err := conn.Read(few); err != nil {
				return fmt.Errorf("sip: %w", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}
}
