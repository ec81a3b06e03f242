// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgress ends a write of which nothing gets away, and no other.
func TestProgress(t *testing.T) {
	const limit = time.Minute
	for name, c := range map[string]struct {
		pause    time.Duration // between two bytes that the other side reads; 0: it reads nothing
		deadline time.Duration // that is set from above; 0: none
		written  int
		stalled  bool
		took     time.Duration
	}{
		"slow":                {pause: limit / 2, written: 4, took: 2 * limit},
		"nothing":             {stalled: true, took: limit},
		"a shorter deadline":  {deadline: limit / 4, took: limit / 4},
		"a longer deadline":   {deadline: 3 * limit, took: 3 * limit},
		"slow, by a deadline": {pause: limit / 2, deadline: limit + limit/4, written: 2, took: limit + limit/4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reader sync.WaitGroup
				defer reader.Wait()
				ours, theirs := net.Pipe()
				conn := &ProgressConn{Conn: ours, Limit: limit}
				defer conn.Close()
				defer theirs.Close()
				if c.deadline > 0 {
					if err := conn.SetWriteDeadline(time.Now().Add(c.deadline)); err != nil {
						t.Fatal(err)
					}
				}
				if c.pause > 0 {
					reader.Go(func() {
						for one := make([]byte, 1); ; {
							time.Sleep(c.pause)
							if _, err := io.ReadFull(theirs, one); err != nil {
								return
							}
						}
					})
				}
				began := time.Now()
				written, err := conn.Write(make([]byte, 4))
				if took := time.Since(began); written != c.written || took != c.took {
					t.Errorf("%d bytes in %v, want %d in %v", written, took, c.written, c.took)
				}
				if complete := written == 4; complete != (err == nil) || !complete && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%d bytes, error %v", written, err)
				}
				if conn.Stalled(err) != c.stalled {
					t.Errorf("stalled is not %v: %v", c.stalled, err)
				}
			})
		})
	}
}
