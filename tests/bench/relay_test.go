// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// What goes in comes out, in order, in both directions, and the end of one direction leaves the other open.
func TestRelay(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		connection, err := echo.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		// The answer comes only after the end of the question.
		question, _ := io.ReadAll(connection)
		_, _ = connection.Write(question)
	}()
	address := StartRelay(t, Line{RTT: 2 * time.Millisecond}, func() string { return echo.Addr().String() })
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	want := harness.NewBlob(3*relayBuffer + 5).Content
	if _, err := connection.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(connection)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back (%v), want the %d that were sent", len(got), err, len(want))
	}
}

// When nobody is far away, the connection ends.
func TestRelayToNowhere(t *testing.T) {
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := nowhere.Addr().String()
	nowhere.Close()
	connection, err := net.Dial("tcp", StartRelay(t, Line{}, func() string { return target }))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if n, err := connection.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes (%v), want the end", n, err)
	}
}
