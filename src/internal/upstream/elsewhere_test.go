// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// TestWhereRedirectsMayLead is about addresses, whatever name led to them.
func TestWhereRedirectsMayLead(t *testing.T) {
	for address, want := range map[string]struct{ always, onLoopback bool }{
		"192.0.2.7": {true, true}, "10.0.0.7": {true, true}, "172.16.3.4": {true, true}, "192.168.1.1": {true, true}, "2001:db8::7": {true, true},
		"fd12:3456::7": {true, true}, "64:ff9b::c000:207": {true, true}, "2002:c000:207::1": {true, true}, "100.100.100.201": {true, true},
		"127.0.0.1": {false, true}, "127.255.0.1": {false, true}, "::1": {false, true}, "::ffff:127.0.0.1": {false, true},
		"64:ff9b::7f00:1": {false, true}, "2002:7f00:1::": {false, true}, "::127.0.0.1": {false, true},
		"0.0.0.0": {}, "0.1.2.3": {}, "::": {}, "::ffff:0.0.0.0": {}, "169.254.169.254": {}, "169.254.20.10": {}, "fe80::1": {}, "fe80::1%eth0": {},
		"::ffff:169.254.169.254": {}, "64:ff9b::169.254.169.254": {}, "2002:a9fe:a9fe::": {}, "::169.254.169.254": {},
		"fd00:ec2::254": {}, "fd00:ec2::23": {}, "fd20:ce::254": {}, "fd00:42::42": {}, "100.100.100.200": {}, "168.63.129.16": {}, "192.0.0.192": {},
		"224.0.0.1": {}, "239.1.2.3": {}, "ff02::1": {}, "255.255.255.255": {},
	} {
		a := netip.MustParseAddr(address)
		if err := (reach{}).check(a); (err == nil) != want.always {
			t.Errorf("%s: %v", address, err)
		}
		if err := (reach{loopback: true}).check(a); (err == nil) != want.onLoopback {
			t.Errorf("%s, of a registry on loopback: %v", address, err)
		}
	}
}

// TestRedirectsAreLookedAtAsTheyAreDialled: a name may have any address, and another one each time.
func TestRedirectsAreLookedAtAsTheyAreDialled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, test := range []struct {
		loopback  bool
		addresses []string
		ok        bool
	}{
		{false, []string{"127.0.0.1"}, false}, {true, []string{"127.0.0.1"}, true},
		{true, []string{"169.254.169.254"}, false}, {true, []string{"0.0.0.0"}, false}, {false, []string{"0.0.0.0", "127.0.0.1"}, false},
		{true, []string{"169.254.169.254", "127.0.0.1"}, true},
	} {
		dialer := guarded(reach{loopback: test.loopback})
		dialer.Resolver = resolver(t, test.addresses)
		conn, err := dialer.DialContext(t.Context(), "tcp", "storage.example.net:"+port)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != test.ok || err != nil && !errors.Is(err, errAddress) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// resolver answers every name with the same addresses.
func resolver(t *testing.T, addresses []string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	go func() {
		defer close(done)
		packet := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(answer(packet[:n], addresses), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func answer(packet []byte, addresses []string) []byte {
	var message dnsmessage.Message
	if err := message.Unpack(packet); err != nil {
		return nil
	}
	message.Response, message.Additionals = true, nil
	question := message.Questions[0]
	for _, address := range addresses {
		if question.Type == dnsmessage.TypeA && !strings.Contains(address, ":") {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
			})
		}
	}
	packed, _ := message.Pack()
	return packed
}
