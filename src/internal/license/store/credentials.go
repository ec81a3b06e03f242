// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain/dockerconfig"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// deliver takes what was read of a docker config, which messages call by that name, or why it was not.
type deliver func(called string, data []byte, err error)

// credential is what was read of the docker config of a registry.
type credential struct {
	called string
	// config is the last one that could be used, with its text; nil: none yet.
	config *dockerconfig.Config
	text   []byte
	// err is why there is none, or no newer one.
	err error
}

// credentials are docker configs by the Secret or file that holds them. One that is missing has not been read
// yet.
type credentials map[string]credential

// credentialReader reads docker configs where registries name them.
type credentialReader struct {
	// watch reads one, again after each change, until the context ends.
	watch func(ctx context.Context, place string, deliver deliver)
	// changed is called with the lock held, and does not wait.
	changed func()
	running sync.WaitGroup

	mu     sync.Mutex
	read   credentials
	cancel map[string]context.CancelFunc    // by place
	gone   map[string]*filewatch.Withdrawal // by the place of one that was there, and is not
}

func newCredentialReader(from source, changed func()) *credentialReader {
	return &credentialReader{
		watch: from.credential, changed: changed, read: credentials{},
		cancel: map[string]context.CancelFunc{}, gone: map[string]*filewatch.Withdrawal{},
	}
}

// follow reads these places from now on, and no others. It returns what is known of them, and whether all
// have been tried.
func (c *credentialReader) follow(ctx context.Context, places []string) (read credentials, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for place, cancel := range c.cancel {
		if !slices.Contains(places, place) {
			cancel()
			delete(c.cancel, place)
			delete(c.read, place)
			c.keep(place)
		}
	}
	for _, place := range places {
		if _, known := c.cancel[place]; known {
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		c.cancel[place] = cancel
		c.running.Go(func() {
			c.watch(ctx, place, func(called string, data []byte, err error) { c.take(ctx, place, called, data, err) })
		})
	}
	return maps.Clone(c.read), len(c.read) == len(c.cancel)
}

// take keeps what was there before where the new text cannot be used.
func (c *credentialReader) take(ctx context.Context, place, called string, data []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	known := c.read[place]
	known.called, known.err = called, err
	if !errors.Is(err, fs.ErrNotExist) {
		c.keep(place)
	} else if known.config != nil && c.gone[place] == nil {
		c.gone[place] = new(filewatch.Withdrawal)
		c.gone[place].Begin(&c.mu, func() { c.withdraw(place) })
	}
	if err == nil && (known.config == nil || !bytes.Equal(known.text, data)) {
		var config *dockerconfig.Config
		if config, known.err = dockerconfig.Parse(called, data); known.err == nil {
			known.config, known.text = config, data
		}
	}
	c.read[place] = known
	c.changed()
}

// keep ends the withdrawal of a credential, if there is one. The lock is held.
func (c *credentialReader) keep(place string) {
	if going := c.gone[place]; going != nil {
		going.Stop()
		delete(c.gone, place)
	}
}

// withdraw takes a credential out of use that did not come back. The lock is held.
func (c *credentialReader) withdraw(place string) {
	delete(c.gone, place)
	known := c.read[place]
	known.config, known.text = nil, nil
	c.read[place] = known
	c.changed()
}

// stop ends the reading, and waits for its end.
func (c *credentialReader) stop() {
	c.follow(context.Background(), nil)
	c.running.Wait()
}
