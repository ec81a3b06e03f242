// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/tokenserver"
)

// content is a blob that takes no room: any part of it can be made at any time.
type content struct {
	// seed is another one for each, so that no blob is in the upstream already.
	seed uint64
	size int64
	// pause is made before each MiB: an uplink of a developer's.
	pause time.Duration
}

const blockSize = 64 << 10

// from reads the content from an offset to the end.
func (c content) from(offset int64) io.Reader {
	return &contentReader{content: c, offset: offset}
}

type contentReader struct {
	content
	offset int64
	number int64
	block  [blockSize]byte
	filled bool
}

// Read implements io.Reader.
func (r *contentReader) Read(p []byte) (int, error) {
	if r.offset >= r.size {
		return 0, io.EOF
	}
	if r.offset%(1<<20) == 0 {
		time.Sleep(r.pause)
	}
	if number := r.offset / blockSize; !r.filled || number != r.number {
		var key [32]byte
		binary.LittleEndian.PutUint64(key[:], r.seed)
		binary.LittleEndian.PutUint64(key[8:], uint64(number))
		_, _ = rand.NewChaCha8(key).Read(r.block[:])
		r.number, r.filled = number, true
	}
	at := r.offset % blockSize
	n := copy(p, r.block[at:min(blockSize, at+r.size-r.offset)])
	r.offset += int64(n)
	return n, nil
}

func (c content) digest() (string, error) {
	c.pause = 0
	hash := sha256.New()
	if _, err := io.Copy(hash, c.from(0)); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

// pushes are several clients that push one blob after another until they are stopped.
type pushes struct {
	// repository is where they go in the upstream.
	repository string

	cancel  context.CancelFunc
	clients sync.WaitGroup
	stopped atomic.Bool

	mu        sync.Mutex
	done      []string // digests
	failed    []error
	repeats   []string // why requests were repeated
	continued int      // uploads that went on at the byte where they were cut
}

// untilStopped is for startPushes.
const untilStopped = math.MaxInt

// startPushes lets n developers push such blobs through the API server, each over connections of its own and
// not more than the given number.
func startPushes(t *testing.T, n, each int, blob content) *pushes {
	t.Helper()
	return startPushesTo(t, prefix, repository, n, each, blob)
}

// startPushesTo is startPushes by one of the ways in, which leads to such a repository.
func startPushesTo(t *testing.T, way, repository string, n, each int, blob content) *pushes {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pushes{cancel: cancel, repository: repository}
	t.Cleanup(func() { cancel(); p.clients.Wait() })
	step(t, "%d developers push blobs of %d MiB", n, blob.size>>20)
	token := here.secret(t, "developer.token")
	for range n {
		// Over HTTP/1.1: an HTTP/2 stream into the API server moves little a round trip (quirk K3).
		inner := &http.Transport{TLSClientConfig: trusting(t, ""), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
		t.Cleanup(inner.CloseIdleConnections)
		user := &throughAPIServer{token: token, inner: inner, way: way}
		p.clients.Go(func() {
			for round := 0; round < each && !p.stopped.Load(); round++ {
				p.one(ctx, user, content{seed: rand.Uint64(), size: blob.size, pause: blob.pause})
			}
		})
	}
	return p
}

// one pushes a blob and notes what became of it.
func (p *pushes) one(ctx context.Context, user *throughAPIServer, c content) {
	digest, err := c.digest()
	if err == nil {
		err = p.push(ctx, user, c, digest)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			p.failed = append(p.failed, err)
			p.stopped.Store(true)
		}
		return
	}
	p.done = append(p.done, digest)
}

// waitFor returns when n more blobs were pushed.
func (p *pushes) waitFor(t *testing.T, n int) {
	t.Helper()
	p.mu.Lock()
	target := len(p.done) + n
	p.mu.Unlock()
	eventually(t, 4*time.Minute, fmt.Sprintf("%d more pushes are done", n), func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.failed) > 0 {
			t.Fatalf("a push failed: %v", p.failed[0])
		}
		if len(p.done) < target {
			return fmt.Errorf("%d of %d", len(p.done), target)
		}
		return nil
	})
}

// stop lets the pushes that are under way come to their end.
func (p *pushes) stop(t *testing.T) {
	t.Helper()
	p.stopped.Store(true)
	p.clients.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, err := range p.failed {
		t.Errorf("a push failed: %v", err)
	}
	reasons := map[string]int{}
	for _, reason := range p.repeats {
		reasons[reason]++
	}
	step(t, "%d pushes, %d failed; %d uploads went on where they were cut; repeated: %v", len(p.done), len(p.failed), p.continued, reasons)
}

func (p *pushes) retries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.repeats)
}

// check reads every blob from the upstream and compares it with its digest.
func (p *pushes) check(t *testing.T, u *upstream) {
	t.Helper()
	step(t, "reading %d blobs from the upstream", len(p.done))
	client := &http.Client{Transport: &bearer{token: u.token(t, p.repository), inner: &http.Transport{TLSClientConfig: trusting(t, "ca.crt")}}}
	for _, digest := range p.done {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+u.host+"/v2/"+p.repository+"/blobs/"+digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		_, err = io.Copy(hash, resp.Body)
		resp.Body.Close()
		if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); err != nil || got != digest {
			t.Errorf("status %d for %s: what the upstream has is %s (%v)", resp.StatusCode, digest, got, err)
		}
	}
}

// tokenBy reports nil once the account got a token.
func (*pushes) tokenBy(u *upstream, account string) error {
	for _, request := range u.tokens.Requests() {
		if request.User == account && request.Status == http.StatusOK {
			return nil
		}
	}
	return errors.New("no token was asked for by " + account)
}

// closed is an account whose password nobody knows.
func (*upstream) closed() tokenserver.User {
	return tokenserver.User{Password: base64.StdEncoding.EncodeToString([]byte(time.Now().String()))}
}
