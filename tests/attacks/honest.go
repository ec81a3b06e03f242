// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	// honestAddress is that of the honest client; no attacker has it.
	honestAddress = "127.9.9.9"
	// workers push or pull at once, each at most once in a pace.
	workers = 3
	pace    = 100 * time.Millisecond
	// patience is how long one push or pull may take, with all its waiting.
	patience = 30 * time.Second
	// tries are how often a request is sent that is answered with 429 or 503, and Retry-After.
	tries = 5
)

// Honest is what became of the honest client's pushes and pulls.
type Honest struct {
	// Done and Failed are numbers of them, Again how many requests were told to come again.
	Done   int `json:"done"`
	Failed int `json:"failed"`
	Again  int `json:"again"`
	// P50 and P99 are how long one took, in milliseconds.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	// Why is the first failure.
	Why string `json:"why,omitempty"`

	mu    sync.Mutex
	times []float64
}

// errStarved is the end of a push or pull that waited in vain.
var errStarved = errors.New("nothing was done until the attack ended")

// run pushes and pulls until the context ends. What is under way then is carried through without the attack.
// It does not count, unless the attack had stopped it already.
func (h *Honest) run(ctx context.Context, s *scene) {
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for ctx.Err() == nil {
				h.once(ctx, s)
				select {
				case <-ctx.Done():
				case <-ticker.C:
				}
			}
		})
	}
	group.Wait()
	slices.Sort(h.times)
	h.P50, h.P99 = rank(h.times, 0.5), rank(h.times, 0.99)
}

// once is one push or pull on a connection of its own, as a new client makes it.
func (h *Honest) once(counts context.Context, s *scene) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(counts), patience)
	defer cancel()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(honestAddress)}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: s.trust()}
	defer transport.CloseIdleConnections()
	client := &client{scene: s, http: &http.Client{Transport: transport}}
	begin := time.Now()
	err := client.pull(ctx)
	if err == nil && s.Side == source {
		err = client.push(ctx)
	}
	took := time.Since(begin)
	h.mu.Lock()
	defer h.mu.Unlock()
	if end, _ := counts.Deadline(); counts.Err() != nil {
		if waited := end.Sub(begin); waited < slow*time.Millisecond {
			return
		}
		err = errors.Join(errStarved, err)
	}
	h.Again += client.again
	if err != nil {
		h.Failed++
		if h.Why == "" {
			h.Why = err.Error()
		}
		return
	}
	h.Done++
	h.times = append(h.times, float64(took.Microseconds())/1000)
}

// rank is the value that a share of all is not above; the values are sorted.
func rank(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return values[min(len(values)-1, int(share*float64(len(values))))]
}

type client struct {
	scene *scene
	http  *http.Client
	again int
}

// pull reads a manifest and its blob.
func (c *client) pull(ctx context.Context) error {
	at := c.scene.base() + "/v2/" + c.scene.name("")
	if _, err := c.ask(ctx, http.MethodGet, at+"/manifests/v1", nil, http.StatusOK); err != nil {
		return err
	}
	blob := c.scene.good.blob
	got, err := c.ask(ctx, http.MethodGet, at+"/blobs/"+blob.Digest, nil, http.StatusOK)
	if err == nil && !bytes.Equal(got.body, blob.Content) {
		err = errors.New("pull: the blob is not the one that was asked for")
	}
	return err
}

// push uploads a blob in the recorded way: POST, one PATCH, PUT.
func (c *client) push(ctx context.Context) error {
	blob := harness.NewBlob(blobSize)
	address := c.scene.base() + "/v2/" + c.scene.name("") + "/blobs/uploads/"
	got, err := c.ask(ctx, http.MethodPost, address, nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	if got, err = c.ask(ctx, http.MethodPatch, got.location, blob.Content, http.StatusAccepted); err != nil {
		return err
	}
	address = got.location + "?digest=" + url.QueryEscape(blob.Digest)
	_, err = c.ask(ctx, http.MethodPut, address, nil, http.StatusCreated)
	return err
}

type answer struct {
	location string
	body     []byte
	status   int
	wait     string
}

// ask sends a request, and again when it is told to come again.
func (c *client) ask(ctx context.Context, method, address string, body []byte, want int) (answer, error) {
	what := method + " " + short(address)
	for try := 1; ; try++ {
		got, err := c.send(ctx, method, address, body)
		switch {
		case err != nil:
			return got, fmt.Errorf("%s: %w", what, err)
		case got.status == want:
			return got, nil
		case got.wait == "" || try == tries:
			return got, fmt.Errorf("%s: status %d, want %d: %.200s", what, got.status, want, got.body)
		}
		c.again++
		seconds, err := strconv.Atoi(got.wait)
		if err != nil {
			return got, fmt.Errorf("%s: Retry-After: %w", what, err)
		}
		timer := time.NewTimer(time.Duration(seconds) * time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return got, fmt.Errorf("%s: told to come again: %w", what, ctx.Err())
		case <-timer.C:
		}
	}
}

func (c *client) send(ctx context.Context, method, address string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if c.scene.honest != "" {
		request.SetBasicAuth("license", c.scene.honest)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, wait: response.Header.Get("Retry-After")}
	if location, err := response.Location(); err == nil {
		got.location = location.String()
	}
	got.body, err = io.ReadAll(response.Body)
	return got, err
}

// short is an address without what makes every one different.
func short(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "an address"
	}
	const most = 40
	return parsed.Path[:min(len(parsed.Path), most)]
}
