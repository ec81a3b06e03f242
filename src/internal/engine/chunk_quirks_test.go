// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/proxytest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/registrytest"
)

// quirk U11: a first chunk whose answer was lost comes again, to the old location and to the new one. It is
// refused, the client is told where to go on, and goes on; whatever the registry's 416 says of that.
func TestQuirkU11FirstChunkSentAgain(t *testing.T) {
	content := layer()
	half := len(content) / 2
	for _, says := range []string{"", "0-0", "0-5999", "nonsense"} {
		for _, to := range []string{"old", "new"} {
			t.Run(says+" "+to, func(t *testing.T) {
				p, registry := proxytest.Simple(t, proxytest.Config{})
				registry.When("PATCH", "/uploads/").Edit(func(status int, header http.Header) int {
					if status == http.StatusRequestedRangeNotSatisfiable {
						header.Del("Location")
						header.Set("Range", says)
					}
					return status
				})
				first := []proxytest.Option{proxytest.Body(content[:half]), proxytest.Header("Content-Range", fmt.Sprint("0-", half-1))}
				locations := map[string]string{"old": p.Start()}
				locations["new"] = p.Do("PATCH", locations["old"], first...).Is(202).Location()
				again := p.Do("PATCH", locations[to], first...).
					Fails(416, oci.RangeInvalid).Has("Range", fmt.Sprint("0-", half-1)).Says(fmt.Sprint("at byte ", half))
				status := p.Do("GET", again.Location()).Is(204).Has("Range", fmt.Sprint("0-", half-1))
				next := p.Do("PATCH", status.Location(), proxytest.Body(content[half:]),
					proxytest.Header("Content-Range", fmt.Sprint(half, "-", len(content)-1))).
					Is(202).Has("Range", fmt.Sprint("0-", len(content)-1)).Location()
				p.Finish(next, content).Is(201)
				registry.Holds(proxytest.Repository, content)
			})
		}
	}
}

// quirk U11: a last chunk that comes with PUT to the wrong place is told the right one, too.
func TestQuirkU11LastChunkOutOfPlace(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	next := p.Do("PATCH", p.Start(), proxytest.Body([]byte("0123456789"))).Is(202).Location()
	registry.When("PUT", "/uploads/").Times(1).Answer(416, "")
	last := []proxytest.Option{proxytest.Body([]byte("ab")), proxytest.Header("Content-Range", "10-11")}
	content := []byte("0123456789ab")
	refused := p.Do("PUT", next+"?digest="+registrytest.Digest(content), last...).Fails(416, oci.RangeInvalid).Has("Range", "0-9")
	p.Do("PUT", refused.Location()+"?digest="+registrytest.Digest(content), last...).Is(201)
	registry.Holds(proxytest.Repository, content)
}

// quirk U11: where the registry does not say how far it is, the client is not told a place, and not that it
// may take no chunks.
func TestQuirkU11ChunkRefusedWithoutAPlace(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("", "/uploads/upload-").Answer(416, "")
	p.Do("PATCH", p.Start(), proxytest.Body(layer()), proxytest.Header("Content-Range", "0-11999")).
		Fails(416, oci.RangeInvalid).Says("start the upload of this blob again").Lacks("Range", "Location")
	p.Network.Count(1, registrytest.Sent("PATCH", ""))
	p.Network.Count(1, registrytest.Sent("POST", ""))
}

// quirk U11: what is wrong with a chunk itself is not mended by sending it as a stream.
func TestQuirkU11ChunkThatIsWrongIsNotStreamed(t *testing.T) {
	for name, test := range map[string]struct {
		span, code string
		body       proxytest.Option
		status     int
	}{
		"shorter than it says":      {"0-19999", "", proxytest.Body(layer()), 416},
		"of a length nobody knows":  {"0-11999", "", proxytest.Stream(bytes.NewReader(layer())), 416},
		"refused for another cause": {"0-11999", "SIZE_INVALID", proxytest.Body(layer()), 400},
	} {
		t.Run(name, func(t *testing.T) {
			p, registry := proxytest.Simple(t, proxytest.Config{})
			registry.When("PATCH", "/uploads/").Answer(test.status, `{"errors":[{"code":"`+test.code+`","message":"no"}]}`)
			p.Do("PATCH", p.Start(), test.body, proxytest.Header("Content-Range", test.span)).Is(test.status)
			p.Network.Count(1, registrytest.Sent("PATCH", ""))
		})
	}
}

// quirk U11: a registry whose Range was wrong once is believed again as soon as it is right.
func TestQuirkU11ARegistryIsBelievedAgain(t *testing.T) {
	p, registry := proxytest.Simple(t, proxytest.Config{})
	registry.When("PATCH", "/uploads/").Times(2).Edit(func(status int, header http.Header) int {
		header.Set("Range", "0-3")
		return status
	})
	next := p.Start()
	for range 3 {
		next = p.Do("PATCH", next, proxytest.Body(make([]byte, 10))).Is(202).Location()
	}
	p.Do("PATCH", next, proxytest.Body(make([]byte, 10))).Is(202) // its answer is lost
	p.Do("GET", next).Is(204).Has("Range", "0-39")
	registry.When("GET", "/uploads/").Edit(func(status int, header http.Header) int {
		header.Set("Range", "0-19") // it has forgotten some
		return status
	})
	p.Do("GET", next).Is(204).Has("Range", "0-19")
}

// TestQuirkU11NothingIsAppendedTwice.
// quirks U2, U3, U4 and U11: whatever a registry's habits and whatever answers are lost, no upload ever holds
// anything but the beginning of the blob, and a client that starts the blob again at worst gets it there.
func TestQuirkU11NothingIsAppendedTwice(t *testing.T) {
	for _, kind := range quirky() {
		t.Run(kind.name, func(t *testing.T) {
			m := &model{habits: kind}
			c := &client{send: through(t, m)}
			content := blob()
			for seed := range uint64(15) {
				c.start(uploads)
				for i, move := range moves(randomMoves(seed)) {
					c.learn(move.do(c, content, true), move.lost())
					if has := m.has(); !bytes.HasPrefix(content, has) {
						t.Fatalf("seed %d, move %d: the upload has %d bytes that are not the blob's", seed, i, len(has))
					}
				}
				if !c.complete(content) {
					c.start(uploads)
					if !c.complete(content) {
						t.Fatalf("seed %d: the blob does not arrive", seed)
					}
				}
			}
		})
	}
}

// complete goes on in small chunks from where the registry says the upload is, or streams the blob where
// nothing has arrived.
func (c *client) complete(content []byte) bool {
	for range 60 {
		status := c.send(http.MethodGet, c.newest())
		if status.status != http.StatusNoContent {
			return false
		}
		c.learn(status, false)
		if c.arrived >= len(content) {
			break
		}
		part := content[c.arrived:min(len(content), c.arrived+4*unit)]
		options := []proxytest.Option{proxytest.Header("Content-Range", fmt.Sprintf("%d-%d", c.arrived, c.arrived+len(part)-1))}
		if c.arrived == 0 {
			part, options = content, nil
		}
		sent := c.send(http.MethodPatch, c.newest(), append(options, proxytest.Body(part))...)
		if sent.status != http.StatusAccepted && sent.status != http.StatusRequestedRangeNotSatisfiable {
			return false
		}
		c.learn(sent, false)
	}
	finished := c.send(http.MethodPut, with(c.newest(), "digest="+registrytest.Digest(content)))
	return finished.status == http.StatusCreated
}
