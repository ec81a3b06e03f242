// SPDX-License-Identifier: Apache-2.0

// Command relay gives a cluster in a network namespace addresses on this machine's loopback, so that kubectl
// works from any shell. It listens here, and runs itself once more in the namespace of another process with
// the listeners handed down: nothing changes in this machine's network, and when either process ends all is
// as it was.
//
//	relay PID ADDRESS…    prints one loopback address for each ADDRESS, then relays until it is ended
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// inside tells the second process that it is the second one.
const inside = "LSP_RELAY_INSIDE"

// firstFile is the descriptor of the first listener there: ExtraFiles come after the three standard ones
// (os/exec).
const firstFile = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("usage: relay PID ADDRESS…")
	}
	if os.Getenv(inside) != "" {
		return serve(ctx, args[1:])
	}
	return outside(ctx, args)
}

// outside listens on loopback and hands the listeners to a process inside.
func outside(ctx context.Context, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=/proc/" + args[0] + "/ns/net", self}, args...)...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var addresses []string
	for range args[1:] {
		var lc net.ListenConfig
		listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen on loopback: %w", err)
		}
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			return fmt.Errorf("hand down a listener: %w", err)
		}
		addresses = append(addresses, listener.Addr().String())
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	fmt.Println(strings.Join(addresses, " "))
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("relay inside: %w", err)
	}
	return nil
}

// serve relays each listener to its address until ctx ends.
func serve(ctx context.Context, addresses []string) error {
	for i, address := range addresses {
		listener, err := net.FileListener(os.NewFile(uintptr(firstFile+i), address))
		if err != nil {
			return fmt.Errorf("take over the listener for %s: %w", address, err)
		}
		go accept(ctx, listener, address)
	}
	<-ctx.Done()
	return nil
}

func accept(ctx context.Context, listener net.Listener, address string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go relay(ctx, client, address)
	}
}

func relay(ctx context.Context, client net.Conn, address string) {
	defer client.Close()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

// pass copies one direction and tells the other side that nothing more comes.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
