// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// unit is what chunks are multiples of, in bytes; one byte alone is told like none ("0-0").
const unit = 100

// blob is what all clients of these tests upload: no part of it is like another.
func blob() []byte {
	content := make([]byte, 40*unit)
	for i := range content {
		content[i] = byte(i ^ i>>8*31)
	}
	return content
}

// reply is what a client learns.
type reply struct {
	status          int
	location, reach string
}

// bytes is how many have arrived by an answer's Range; a negative number where it has none.
func (r reply) bytes() int {
	last, ok := strings.CutPrefix(r.reach, "0-")
	end, err := strconv.Atoi(last)
	switch {
	case !ok || err != nil:
		return -1
	case end <= 0:
		return 0
	}
	return end + 1
}

// sender makes one request of an upload.
type sender func(method, location string, options ...proxytest.Option) reply

// straight asks a model without anything between.
func straight(m *model) sender {
	return func(method, location string, options ...proxytest.Option) reply {
		r := httptest.NewRequest(method, location, nil)
		for _, option := range options {
			option(r)
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		return reply{w.Code, w.Header().Get("Location"), w.Header().Get("Range")}
	}
}

// through asks it through the proxy.
func through(t testing.TB, m *model) sender {
	network := registrytest.NewNetwork(t)
	network.ServePlain(proxytest.Host, m)
	p := proxytest.New(t, network, proxytest.Config{Plain: true})
	return func(method, location string, options ...proxytest.Option) reply {
		answer := p.Do(method, location, options...)
		return reply{answer.Status, answer.Header.Get("Location"), answer.Header.Get("Range")}
	}
}

// client is one that loses answers.
type client struct {
	send sender
	// locations that it has learnt, the newest last.
	locations []string
	// arrived is what it thinks has arrived.
	arrived int
}

func (c *client) start(path string) {
	first := c.send(http.MethodPost, path)
	c.locations, c.arrived = []string{first.location}, 0
}

// learn takes an answer in; one that is lost teaches nothing.
func (c *client) learn(r reply, lost bool) {
	if lost {
		return
	}
	if r.location != "" {
		c.locations = append(c.locations, r.location)
	}
	if n := r.bytes(); n >= 0 {
		c.arrived = n
	}
}

func (c *client) newest() string { return c.locations[len(c.locations)-1] }

// move is one request of a client's, of four bytes.
type move [4]byte

func (m move) lost() bool { return m[0]&0x80 != 0 }

// to is the location: mostly the newest, else any earlier one.
func (m move) to(c *client) string {
	back := max(0, int(m[1]%8)-4)
	return c.locations[max(0, len(c.locations)-1-back)]
}

// do sends a chunk that goes on where the client thinks it has to, repeats, overlaps or leaves something out;
// one that is shorter than its Content-Range says, or does not say its length; a stream; or asks how far the
// upload is.
func (m move) do(c *client, all []byte, chunksOnly bool) reply {
	from := c.arrived
	if m[2]&1 != 0 {
		from = int(m[2]>>1%12) * unit
	}
	until := min(len(all), from+(1+int(m[3]%8))*unit)
	from = min(from, until-unit)
	part := all[from:until]
	with := proxytest.Header("Content-Range", fmt.Sprintf("%d-%d", from, until-1))
	kind := m[0] & 0x7f % 8
	if chunksOnly && kind > 4 {
		kind = 0
	}
	switch kind {
	case 4:
		return c.send(http.MethodGet, m.to(c))
	case 5:
		return c.send(http.MethodPatch, m.to(c), proxytest.Body(part))
	case 6:
		return c.send(http.MethodPatch, m.to(c), proxytest.Body(part[:unit/2]), with)
	case 7:
		return c.send(http.MethodPatch, m.to(c), proxytest.Stream(bytes.NewReader(part)), with)
	default:
		return c.send(http.MethodPatch, m.to(c), proxytest.Body(part), with)
	}
}

func moves(data []byte) (all []move) {
	for ; len(data) >= 4 && len(all) < 30; data = data[4:] {
		all = append(all, move(data))
	}
	return all
}

// TestQuirkU11AnyOrderOfChunksEqualsTheStraightOne.
// quirk U11: chunks whose answers are lost come again, to old locations and to new ones, late, short and
// overlapping. All that the client is told, and what the registry has in the end, is as without the proxy.
func TestQuirkU11AnyOrderOfChunksEqualsTheStraightOne(t *testing.T) {
	for _, kind := range honest() {
		t.Run(kind.name, func(t *testing.T) {
			compared := newComparison(t, kind)
			for seed := range uint64(40) {
				compared.run(t, moves(randomMoves(seed)))
				if t.Failed() {
					t.Fatalf("with seed %d", seed)
				}
			}
		})
	}
}

// FuzzChunksEqualTheStraightOnes is the same with moves that a fuzzer finds.
func FuzzChunksEqualTheStraightOnes(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed%2 == 0, randomMoves(seed))
	}
	f.Fuzz(func(t *testing.T, distribution bool, data []byte) {
		kind := honest()[0]
		if !distribution {
			kind = honest()[1]
		}
		newComparison(t, kind).run(t, moves(data))
	})
}

func randomMoves(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 11))
	data := make([]byte, 4*12)
	for i := range data {
		data[i] = byte(random.UintN(256))
	}
	return data
}

// comparison sends the same to two registries, straight and through the proxy.
type comparison struct {
	habits  habits
	behind  *model
	through sender
}

func newComparison(t testing.TB, kind habits) *comparison {
	behind := &model{habits: kind}
	return &comparison{habits: kind, behind: behind, through: through(t, behind)}
}

func (c *comparison) run(t *testing.T, all []move) {
	t.Helper()
	direct := &model{habits: c.habits}
	one, two := &client{send: straight(direct)}, &client{send: c.through}
	one.start(modelPath)
	two.start(uploads)
	content := blob()
	for i, m := range all {
		want, got := m.do(one, content, false), m.do(two, content, false)
		has := len(direct.has())
		if got.status != want.status || len(c.behind.has()) != has {
			t.Fatalf("move %d, %v: answered %+v with %d bytes there, straight %+v with %d",
				i, m, got, len(c.behind.has()), want, has)
		}
		if n := got.bytes(); n >= 0 && n != has || n < 0 && want.bytes() >= 0 {
			t.Fatalf("move %d, %v: Range %q, straight %q, %d bytes are there", i, m, got.reach, want.reach, has)
		}
		// A 416 that says more than the straight one must not make the two go different ways.
		if want.location == "" && got.location != "" {
			got.location, got.reach = "", ""
		}
		one.learn(want, m.lost())
		two.learn(got, m.lost())
	}
	digest := "digest=" + registrytest.Digest(direct.has())
	want := one.send(http.MethodPut, with(one.newest(), digest))
	if got := two.send(http.MethodPut, with(two.newest(), digest)); got.status != want.status {
		t.Fatalf("finished with %d, straight %d", got.status, want.status)
	}
}

func with(location, query string) string {
	if strings.Contains(location, "?") {
		return location + "&" + query
	}
	return location + "?" + query
}
