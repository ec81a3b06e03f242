// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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

// ErrNotKept is for what a storage does not have.
var ErrNotKept = errors.New("it is not kept")

// Storage has objects by their key. It is safe for concurrent use. When it fails, it tells the operator itself.
type Storage interface {
	// Open opens an object for being read; [ErrNotKept] for one that is not there.
	Open(ctx context.Context, key string) (Object, error)
	// Put keeps an object. Nothing of it is there before all of it is.
	Put(ctx context.Context, key string, content *io.SectionReader) error
	// Remove removes objects, which may be gone.
	Remove(ctx context.Context, keys ...string)
	// SignedURL returns an address at which an object can be read for a minute without a credential.
	SignedURL(ctx context.Context, key string) (string, error)
	// Dir is the directory that the objects are in; empty: they are in none.
	Dir() string
	// Close ends the use of the storage.
	Close() error
}

// Object is one object of a storage, open for being read.
type Object interface {
	io.ReadSeekCloser
	// Size in bytes.
	Size() int64
	// File is the object's own; nil: it has none.
	File() *os.File
}

// Policy says how what is kept may be served.
type Policy struct {
	// Stale is how long what is due to be asked anew may be served while the registry cannot be asked.
	Stale time.Duration
	// Strict serves nothing while the registry refuses the vendor's credential as such.
	Strict bool
	// SignedURLs sends clients to the bucket for blobs.
	SignedURLs bool
}

// Observer counts what the cache does.
type Observer interface {
	// CacheAnswered is called for each answer in which the cache has a part.
	CacheAnswered(kind oci.Kind, result Result)
	// CacheFetched is called for bytes of blobs that came from a registry.
	CacheFetched(bytes int)
	// CacheSent is called with the bytes that were sent to a client in an answer of the cache.
	CacheSent(bytes int64)
	// CacheFailed is called when the disk does not take what arrives, and for each damaged object.
	CacheFailed()
}

// Config is what a cache needs.
type Config struct {
	Policy
	// Storage is closed with the cache.
	Storage  Storage
	Observer Observer
	Log      *slog.Logger
}

// Cache keeps what was pulled. It is safe for concurrent use.
type Cache struct {
	cfg     Config
	storage Storage
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

// New makes a cache. What it does beside requests ends with [Cache.Close].
func New(ctx context.Context, cfg Config) *Cache {
	c := &Cache{cfg: cfg, storage: cfg.Storage, verified: newVerified(), downloads: map[string]*download{}}
	c.recent, _ = simplelru.NewLRU[string, *answer](maxRecent, nil) // only a size that is not positive is an error
	c.spools = c.storage.Dir()
	if c.spools == "" {
		c.spools = os.TempDir()
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return c
}

// Close ends downloads that are under way, and waits for them.
func (c *Cache) Close() error {
	if c == nil {
		return nil
	}
	c.cancel()
	c.running.Wait()
	return c.storage.Close()
}

// failed logs that the cache is passed by, and not each time.
func (c *Cache) failed(attempt string, err error) {
	c.cfg.Observer.CacheFailed()
	if c.quiet.may(attempt) {
		c.cfg.Log.Warn("the cache is passed by", "attempt", attempt, "error", err.Error())
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

// IsKey reports whether a storage has an object of the cache under a key.
func IsKey(key string) bool {
	return strings.HasPrefix(key, contentPrefix) || strings.HasPrefix(key, answerPrefix)
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
