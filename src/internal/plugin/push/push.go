// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
)

// Name is the one name that the proxy serves; it stands for the operator's repository.
const Name = "source"

const (
	parallelBlobs = 4
	// maxTries is how often a step may fail in a row without a byte of progress. With the default pauses that
	// is two minutes.
	maxTries = 8
	// preflightTries is less, about eight seconds: nothing has been done yet that would be lost.
	preflightTries = 5
)

// Options of one push. Tag is required, everything else may be zero.
type Options struct {
	// Tag is what the image is called behind the proxy.
	Tag string
	// Also are further tags for the image.
	Also []string
	// Repository is the target that Preflight returned; empty makes Push ask itself.
	Repository string
	// Sessions remembers interrupted uploads between processes.
	Sessions *Sessions
	// Progress is called with the bytes sent and the bytes to send, often and from several goroutines. The
	// first may shrink.
	Progress func(done, total int64)
	// Notify hears of retries and of long waits, each in one line for the developer. It may be called from
	// several goroutines.
	Notify func(line string)
	// Pause waits between two tries; nil sleeps until then or until the context ends. Tests replace it.
	Pause func(context.Context, time.Duration) error
	// StopGrace is how long an interrupted upload may take to have what was sent so far confirmed. Zero means
	// ten seconds: on a slow line megabytes wait in buffers, and some registries lose an upload that breaks
	// off. It is a part of the time that the context leaves, and a quarter of it at most: uploads stop ahead of
	// a deadline.
	StopGrace time.Duration
	// Patience is how long nothing may happen before Notify hears what is waited for; zero means five
	// seconds.
	Patience time.Duration
}

// Result is a finished push.
type Result struct {
	// Repository is the operator's repository, as an image reference without tag.
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	// Also are the further tags that were asked for.
	Also   []string `json:"additionalTags,omitempty"`
	Digest string   `json:"digest"`
	// Uploaded is how many bytes were sent that the registry did not have.
	Uploaded int64 `json:"uploaded"`
	// Unchanged says that the tags named this image already.
	Unchanged bool `json:"unchanged"`
}

// Reference is what a Workload's spec.source.image takes: repository:tag@digest.
func (r Result) Reference() string { return r.Repository + ":" + r.Tag + "@" + r.Digest }

// Interrupted is returned when the context ended before the push did.
type Interrupted struct {
	// Cause is the context's error.
	Cause error
	// LastTry is why the last try failed that nothing has mended since; nil: none did.
	LastTry error
	// Resumable says that the next push of the same image continues the upload: the registry has confirmed a
	// part of it.
	Resumable bool
	// Unconfirmed says that bytes were sent which the registry did not confirm. It may have kept some.
	Unconfirmed bool
}

func (i *Interrupted) Error() string {
	text := "interrupted before everything was sent"
	if errors.Is(i.Cause, context.DeadlineExceeded) {
		text = "the time was up before everything was sent"
	}
	if i.LastTry != nil {
		text += fmt.Sprintf(" (%v)", i.LastTry)
	}
	return text
}

// Unwrap returns the context's error.
func (i *Interrupted) Unwrap() error { return i.Cause }

// ErrNotProxy says that something else answers at the proxy's address.
var ErrNotProxy = errors.New("what answers there is not a Local Source Proxy: it does not name its repository")

// pusher is one push.
type pusher struct {
	client *apiserver.Client
	opts   Options
	sent   atomic.Int64 // bytes confirmed or on their way
	total  atomic.Int64
	fresh  atomic.Int64 // bytes of blobs that were not there
	open   openUploads
	// failed is why the last try failed, until a later one of the same step does not.
	failed atomic.Pointer[error]
	// deadline of the push; zero: none.
	deadline time.Time
	// stopping is for what is said once, however many uploads are under way.
	stopping sync.Once
}

func newPusher(client *apiserver.Client, opts Options) *pusher {
	if opts.Progress == nil {
		opts.Progress = func(int64, int64) {}
	}
	if opts.Notify == nil {
		opts.Notify = func(string) {}
	}
	if opts.Pause == nil {
		opts.Pause = pause
	}
	if opts.Patience == 0 {
		opts.Patience = patience
	}
	if opts.StopGrace == 0 {
		opts.StopGrace = 10 * time.Second
	}
	return &pusher{client: client, opts: opts}
}

// Preflight finds out whether a push may begin, and returns what the proxy says of itself: its target is never
// empty. It costs a moment, and saves packing a large tree for a cluster without a proxy, or for a registry that
// is down. Its error says the cause and the remedy as far as the proxy knows them.
func Preflight(ctx context.Context, client *apiserver.Client, opts Options) (doctor.Report, error) {
	p := newPusher(client, opts)
	var target string
	err := p.retry(ctx, "ask the proxy", preflightTries, func(ctx context.Context) (bool, error) {
		resp, err := p.do(ctx, "ask the proxy", apiserver.Request{Method: http.MethodGet, Target: "/v2/"})
		if err != nil {
			if answer, ok := errors.AsType[*apiserver.Error](err); ok && !answer.Temporary() {
				return false, &final{err}
			}
			return false, err
		}
		defer resp.Body.Close()
		if target = resp.Header.Get(apiserver.RegistryPathHeader); target == "" {
			return false, &final{ErrNotProxy}
		}
		return true, nil
	})
	if err != nil {
		return doctor.Report{}, p.interruption(ctx, err)
	}
	var report doctor.Report
	err = p.retry(ctx, "ask for the registry's health", preflightTries, func(ctx context.Context) (_ bool, err error) {
		report, err = doctor.Ready(ctx, client)
		if why, ok := errors.AsType[*doctor.Obstacle](err); ok && why.Lasting {
			return false, &final{err}
		}
		return false, err
	})
	report.Target = target
	return report, p.interruption(ctx, err)
}

// Push uploads what the registry does not have of img, and makes opts.Tag name it. A second tag, as imgpkg
// sets it, keeps the image from being collected when the first moves on.
func Push(ctx context.Context, client *apiserver.Client, img v1.Image, opts Options) (Result, error) {
	p := newPusher(client, opts)
	digest, err := img.Digest()
	if err != nil {
		return Result{}, fmt.Errorf("describe the image: %w", err)
	}
	result := Result{Tag: opts.Tag, Also: opts.Also, Digest: digest.String(), Repository: opts.Repository}
	if result.Repository == "" {
		report, err := Preflight(ctx, client, opts)
		if err != nil {
			return Result{}, err
		}
		result.Repository = report.Target
	}
	missing, err := p.missing(ctx, append([]string{opts.Tag}, opts.Also...), digest)
	if result.Unchanged = len(missing) == 0; err != nil || result.Unchanged {
		return result, p.interruption(ctx, err)
	}
	blobs, err := blobsOf(img)
	if err != nil {
		return Result{}, err
	}
	uploading, cancel := p.aheadOfDeadline(ctx)
	defer cancel()
	if err := p.sendAll(uploading, blobs); err != nil {
		return Result{}, p.interruption(uploading, err)
	}
	missing = append(missing, strings.Replace(digest.String(), ":", "-", 1)+".imgpkg")
	if err := p.tag(ctx, img, missing...); err != nil {
		return Result{}, p.interruption(ctx, err)
	}
	result.Uploaded = p.fresh.Load()
	return result, nil
}

func (p *pusher) interruption(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		resumable, unconfirmed := p.open.state()
		stopped := &Interrupted{Cause: ctx.Err(), Resumable: resumable, Unconfirmed: unconfirmed}
		if why := p.failed.Load(); why != nil {
			stopped.LastTry = *why
		}
		return stopped
	}
	return err
}

// aheadOfDeadline returns the context of uploads. It leaves the registry time to confirm what was sent.
func (p *pusher) aheadOfDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	p.deadline = deadline
	return context.WithDeadline(ctx, deadline.Add(-min(p.opts.StopGrace, time.Until(deadline)/4)))
}

func (p *pusher) sendAll(ctx context.Context, blobs []blob) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelBlobs)
	for _, b := range blobs {
		group.Go(func() error {
			if err := p.send(ctx, b); err != nil {
				return fmt.Errorf("upload %s: %w", b.what, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// missing returns those of the tags that do not name this very image.
func (p *pusher) missing(ctx context.Context, tags []string, digest v1.Hash) (missing []string, err error) {
	for _, tag := range tags {
		there, err := p.hasTag(ctx, tag, digest)
		if err != nil {
			return tags, err
		}
		if !there {
			missing = append(missing, tag)
		}
	}
	return missing, nil
}

// hasTag asks whether the tag names this very image.
func (p *pusher) hasTag(ctx context.Context, tag string, digest v1.Hash) (bool, error) {
	var there bool
	err := p.retry(ctx, "look for the image", maxTries, func(ctx context.Context) (bool, error) {
		resp, err := p.do(ctx, "look for the image", apiserver.Request{
			Method: http.MethodHead, Target: "/v2/" + Name + "/manifests/" + tag,
			Header: http.Header{"Accept": {string(types.DockerManifestSchema2), string(types.OCIManifestSchema1)}},
		})
		if unseen(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		there = resp.Header.Get("Docker-Content-Digest") == digest.String()
		return true, nil
	})
	return there, err
}

// tag puts the manifest under each of the tags.
func (p *pusher) tag(ctx context.Context, img v1.Image, tags ...string) error {
	manifest, err := img.RawManifest()
	if err != nil {
		return fmt.Errorf("describe the image: %w", err)
	}
	mediaType, err := img.MediaType()
	if err != nil {
		return fmt.Errorf("describe the image: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, tag := range tags {
		group.Go(func() error {
			return p.retry(ctx, "name the image "+tag, maxTries, func(ctx context.Context) (bool, error) {
				resp, err := p.do(ctx, "name the image "+tag, apiserver.Request{
					Method: http.MethodPut, Target: "/v2/" + Name + "/manifests/" + tag,
					Header: http.Header{"Content-Type": {string(mediaType)}},
					Body:   strings.NewReader(string(manifest)), Length: int64(len(manifest)),
				})
				if err != nil {
					return false, err
				}
				return true, resp.Body.Close()
			})
		})
	}
	return group.Wait()
}
