// SPDX-License-Identifier: Apache-2.0

package ahead

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
	"golang.org/x/net/netutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chunks is a body of which each read gives one chunk, and the connection that it comes by.
type chunks struct {
	conn
	sizes []int
	// arrived is how many of them have been read ahead, once the first is asked for.
	arrived int
	err     error // after the last
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.sizes) == 0 {
		return 0, c.err
	}
	n := c.sizes[0]
	if n > len(p) {
		c.sizes[0] -= len(p)
		return len(p), nil
	}
	c.sizes, c.arrived = c.sizes[1:], c.arrived-1
	there := 0
	for _, size := range c.sizes[:min(max(0, c.arrived), len(c.sizes))] {
		there += size + frame
	}
	c.ready.Store(int64(there))
	return n, nil
}

// writes notes the size of each write.
type writes struct {
	sizes []int
	err   error
}

func (w *writes) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return len(p), w.err
}

func TestChunksThatAreThereGoTogether(t *testing.T) {
	const k = 1 << 10
	for _, test := range []struct {
		name    string
		sizes   []int
		arrived int
		unknown bool
		written []int
	}{
		{"all", []int{32 * k, 32 * k, 32 * k}, 3, false, []int{96 * k}},
		{"some", []int{32 * k, 32 * k, 32 * k}, 2, false, []int{64 * k, 32 * k}},
		{"none", []int{32 * k, 32 * k, 32 * k}, 1, false, []int{32 * k, 32 * k, 32 * k}},
		{"as many as have room", slices.Repeat([]int{32 * k}, 8), 8, false, []int{192 * k, 64 * k}},
		{"the next is larger", []int{k, 32 * k}, 2, false, []int{33 * k}},
		{"larger than the buffer", []int{200 * k}, 1, false, []int{192 * k, 8 * k}},
		{"of a connection that is not known", []int{32 * k, 32 * k}, 2, true, []int{32 * k, 32 * k}},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := &chunks{sizes: test.sizes, arrived: test.arrived, err: io.EOF}
			from := &together{Reader: body, conn: &body.conn, buffers: buffersOf(wide)}
			if test.unknown {
				from.conn = nil
			}
			var to writes
			if n, err := from.WriteTo(&to); err != nil || !slices.Equal(to.sizes, test.written) {
				t.Errorf("%d bytes, %v, written as %v, want %v", n, err, to.sizes, test.written)
			}
		})
	}
}

func TestFewHaveALane(t *testing.T) {
	l := NewLanes()
	body := &chunks{err: io.EOF}
	at := &conn{}
	ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, address{conn: at})
	var leave [few]func()
	for i := range leave {
		var reader io.Reader
		if reader, leave[i] = l.Take(ctx, body); reader == io.Reader(body) {
			t.Errorf("upload %d has none", i)
		}
	}
	reader, nothing := l.Take(ctx, body)
	if reader != io.Reader(body) {
		t.Error("one more has a lane, too")
	}
	nothing()
	if reader, _ := l.Take(ctx, body); reader != io.Reader(body) {
		t.Error("who has none gave one up")
	}
	if !at.wide.Load() {
		t.Error("the connection does not know")
	}
	leave[0]()
	if at.wide.Load() {
		t.Error("the connection does not know that it is over")
	}
	if reader, _ := l.Take(t.Context(), body); reader == io.Reader(body) {
		t.Error("a lane that was left is not free")
	}
}

func TestWhatGoesWrong(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		read, write error
		written     int64
	}{
		"reading": {read: broken, written: 64}, "writing": {read: io.EOF, write: broken, written: 64}, "reading early": {read: io.ErrUnexpectedEOF, written: 64},
	} {
		body := &chunks{sizes: []int{64}, err: test.read}
		n, err := (&together{Reader: body, buffers: buffersOf(wide)}).WriteTo(&writes{err: test.write})
		want := test.write
		if want == nil {
			want = test.read
		}
		if n != test.written || !errors.Is(err, want) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}

// TestUploads sends chunked bodies through net/http, more at once than there are lanes: what arrives is what was sent, also
// where something stands around the connections.
func TestUploads(t *testing.T) {
	l := NewLanes()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, leave := l.Take(r.Context(), r.Body)
		defer leave()
		if lane, ok := body.(*together); ok && lane.conn == nil {
			t.Error("a connection is not known")
		}
		var got bytes.Buffer // net/http answers nothing before it has read all
		if _, err := io.Copy(&got, body); err != nil {
			t.Error(err)
		}
		_, _ = got.WriteTo(w)
	})
	web := httptest.NewUnstartedServer(handler)
	web.Listener = netutil.LimitListener(Listen(web.Listener), 100)
	web.Start()
	defer web.Close()
	content := random(t, 1<<20)
	var all sync.WaitGroup
	for _, reader := range slices.Repeat(append(readers(), iotest.DataErrReader), 3) {
		all.Go(func() {
			// A pipe hides the length, and its reader gives what is written at once.
			from, to := io.Pipe()
			all.Go(func() {
				_, err := io.Copy(struct{ io.Writer }{to}, reader(bytes.NewReader(content)))
				to.CloseWithError(err)
			})
			resp, err := web.Client().Post(web.URL, "", from)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
			}
		})
	}
	all.Wait()
	if taken := l.taken.Load(); taken != 0 {
		t.Errorf("%d lanes are taken at the end", taken)
	}
}
