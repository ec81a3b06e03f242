// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// What the keys of objects begin with.
const (
	contentPrefix = "content/"
	answerPrefix  = "answers/"
)

// Result says how the cache had a part in an answer, one of a closed set; empty: it had none.
type Result string

// The results.
const (
	// Hit: the registry did not have to send it.
	Hit Result = "hit"
	// Miss: the registry sent it for this request.
	Miss Result = "miss"
	// Shared: the registry sent it for another request, which was under way.
	Shared Result = "shared"
	// Stale: the registry cannot be asked, and this is what it said last.
	Stale Result = "stale"
	// Bypass: the request went to the registry as if there were no cache.
	Bypass Result = "bypass"
)

// Observer counts what the cache does.
type Observer interface {
	// CacheAnswered is called for each answer in which the cache has a part.
	CacheAnswered(kind oci.Kind, result Result)
	// CacheFetched is called for bytes of blobs that came from a registry.
	CacheFetched(bytes int)
	// CacheSent is called with the bytes that were sent to a client in an answer of the cache.
	CacheSent(bytes int64)
	// CacheEvicted is called for each object that had to leave.
	CacheEvicted()
	// CacheFailed is called when the storage fails.
	CacheFailed()
}

// Config is what a cache needs.
type Config struct {
	Settings
	Observer Observer
	Log      *slog.Logger
}

// Cache keeps what was pulled. It is safe for concurrent use.
type Cache struct {
	cfg     Config
	storage *storage
	// spools is where downloads are written while they arrive.
	spools string
	// verified remembers files whose digest was right when they were last read.
	verified *verified
	asked    singleflight.Group[*said]
	quiet    quiet

	// ctx ends downloads, and running is who uses it.
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	downloads map[string]*download
	// recent are answers without a body, so that the storage is not asked for each request.
	recent *simplelru.LRU[string, *answer]
}

// maxRecent is how many answers are held in memory. Each takes about half a KiB.
const maxRecent = 4096

// Open opens a cache.
func Open(ctx context.Context, cfg Config) (*Cache, error) {
	c := &Cache{cfg: cfg, verified: newVerified(), downloads: map[string]*download{}}
	c.recent, _ = simplelru.NewLRU[string, *answer](maxRecent, nil) // only a size that is not positive is an error
	var err error
	c.storage, err = openStorage(ctx, cfg.Settings, cfg.Observer.CacheEvicted, c.failed)
	if err != nil {
		return nil, err
	}
	c.spools = c.storage.dir
	if c.spools == "" {
		c.spools = os.TempDir()
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return c, nil
}

// Close ends downloads that are under way, and waits for them.
func (c *Cache) Close() error {
	if c == nil {
		return nil
	}
	c.cancel()
	c.running.Wait()
	return c.storage.close()
}

// Size is how many bytes are kept in a directory or memory. It is false for a bucket.
func (c *Cache) Size() (int64, bool) {
	if c.storage.room == nil {
		return 0, false
	}
	return c.storage.room.size(), true
}

// failed logs a failure of the storage, and not each one.
func (c *Cache) failed(attempt string, err error) {
	c.cfg.Observer.CacheFailed()
	if c.quiet.may("storage") {
		c.cfg.Log.Warn("the cache's storage failed; requests go to the registry meanwhile",
			"attempt", attempt, "error", err.Error(), "next_attempt_in", awayFor)
	}
}

// quietFor is how long the same thing is not logged again.
const quietFor = time.Minute

// quiet keeps one thing from filling the log. The zero value is ready for use.
type quiet struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// may reports whether a thing may be logged now. What it is about must be one of few.
func (q *quiet) may(about string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.last[about]) < quietFor {
		return false
	}
	if q.last == nil {
		q.last = map[string]time.Time{}
	}
	q.last[about] = time.Now()
	return true
}

// View is the cache as one request sees it, which is about one repository of one registry. It is not for
// several requests.
type View struct {
	cache    *Cache
	registry *upstream.Registry
	// name is the registry's object, for the log.
	name string
	// scope keeps apart what different registries and repositories have said.
	scope   string
	result  Result
	warning string
}

// For returns the view of a repository. The registry's name is that of its object: two objects may have
// different credentials for one host.
func (c *Cache) For(registry *upstream.Registry, name, repository string) *View {
	sum := sha256.Sum256([]byte(name + "\n" + registry.Host() + "\n" + repository))
	return &View{cache: c, registry: registry, name: name, scope: hex.EncodeToString(sum[:])}
}

// Finish says what part the cache had in an answer of so many bytes.
func (v *View) Finish(bytes int64) Result {
	if v == nil || v.result == "" {
		return ""
	}
	v.cache.cfg.Observer.CacheSent(bytes)
	return v.result
}

// Warning implements [engine.Cache].
func (v *View) Warning() string { return v.warning }

// note notes what part the cache had.
func (v *View) note(kind oci.Kind, result Result) {
	v.result = result
	v.cache.cfg.Observer.CacheAnswered(kind, result)
}

// contentKey is the key of content by its digest, which must be one of [oci.IsDigest].
func contentKey(digest string) string {
	algorithm, encoded, _ := strings.Cut(digest, ":")
	return fmt.Sprintf("%s%s/%.2s/%s", contentPrefix, algorithm, encoded, encoded)
}

// answerKey is the key of what the registry said to a request. What tells it from others of the repository is
// hashed: it may be of any length and form.
func (v *View) answerKey(kind oci.Kind, parts ...string) string {
	sum := sha256.Sum256([]byte(string(kind) + "\n" + strings.Join(parts, "\n")))
	return fmt.Sprintf("%s%.2s/%s/%x", answerPrefix, v.scope, v.scope, sum[:])
}
