// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestAFileArrivesWhole, also where a slow reader has the write deadline pass again and again.
func TestAFileArrivesWhole(t *testing.T) {
	content := make([]byte, 64<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, limit := range map[string]time.Duration{"quick": time.Minute, "slow": 2400 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := connected(t)
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.Seek(5, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			var got []byte
			var reader sync.WaitGroup
			reader.Go(func() {
				piece := make([]byte, 16<<20)
				tick := time.NewTicker(300 * time.Millisecond)
				defer tick.Stop()
				for {
					n, err := io.ReadFull(theirs, piece)
					got = append(got, piece[:n]...)
					if err != nil {
						return
					}
					if name == "slow" {
						<-tick.C
					}
				}
			})
			conn := &ProgressConn{Conn: ours, Limit: limit}
			want := content[5 : len(content)-7]
			sent, err := conn.SendFile(file, int64(len(want)))
			_ = ours.Close()
			reader.Wait()
			if err != nil || sent != int64(len(want)) || !bytes.Equal(got, want) {
				t.Errorf("sent %d, %v; %d arrived", sent, err, len(got))
			}
		})
	}
}

// TestAFileThatNobodyReads ends.
func TestAFileThatNobodyReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ours, _ := connected(t)
	conn := &ProgressConn{Conn: ours, Limit: 60 * time.Millisecond}
	if sent, err := conn.SendFile(file, 64<<20); !conn.Stalled(err) {
		t.Errorf("sent %d, %v", sent, err)
	}
}

// connected is a TCP connection.
func connected(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var dialer net.Dialer
	theirs, err = dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
	})
	return ours, theirs
}
