// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"log/slog"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

// Action is what was asked for, one of a closed set.
type Action string

// The actions. [Head] is a look at a manifest or blob that transfers neither.
const (
	Auth      Action = "auth"
	Manifest  Action = "manifest"
	Head      Action = "HEAD"
	Blob      Action = "blob"
	Tags      Action = "tags"
	Referrers Action = "referrers"
	// Unknown is for what the image proxy does not have.
	Unknown Action = "unknown"
)

// Reason is why a request was denied, one of a closed set; empty for one that was not.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	RateLimited     Reason = "rate_limited"
	Unauthenticated Reason = "unauthenticated"
	UnknownLicense  Reason = "unknown_license"
	Expired         Reason = "expired"
	Revoked         Reason = "revoked"
	OtherApp        Reason = "other_app"
	RegistryUnknown Reason = "registry_unknown"
	RegistryClosed  Reason = "registry_closed"
	// RepositoryClosed: the registry does not have the repository open. NotLicensed: the license does not open the
	// repository, the tag, or what no open tag leads to.
	RepositoryClosed Reason = "repository_closed"
	NotLicensed      Reason = "not_licensed"
	TooManyPulls     Reason = "too_many_pulls"
	UpstreamRefused  Reason = "upstream_refused"
)

// Record is one request at its end.
type Record struct {
	// ID of the request; the client has it as X-Request-Id.
	ID string
	// Customer, License (the object's name) and App are empty where no license was found.
	Customer, License, App string
	Action                 Action
	// Image is what the client wrote after the application, and Reference its tag or digest.
	Image, Reference string
	Status           int
	// Success says that the client got all of what it asked for.
	Success bool
	Reason  Reason
	Bytes   int64
	// Duration from the request's header to the last byte of the answer.
	Duration time.Duration
	// Waited is how much of it the request waited for others of its license.
	Waited time.Duration
	// Cache is what part the cache had in the answer; empty: none.
	Cache cache.Result
	// Remote is the client's address.
	Remote string
	// Err is why it failed; it may name the registry, and is for the vendor.
	Err error
}

// Recorder gets every request.
type Recorder interface{ Pulled(r Record) }

// Recorders get each request one after the other.
type Recorders []Recorder

// Pulled implements [Recorder].
func (all Recorders) Pulled(r Record) {
	for _, each := range all {
		each.Pulled(r)
	}
}

// Log writes the one line of a request.
func (r Record) Log(ctx context.Context, logger *slog.Logger) {
	attrs := []slog.Attr{
		slog.String("id", r.ID), slog.String("customer", r.Customer), slog.String("license", r.License),
		slog.String("app", r.App),
		slog.String("action", string(r.Action)), slog.String("image", r.Image), slog.String("reference", r.Reference),
		slog.Int("status", r.Status), slog.Bool("success", r.Success), slog.Int64("bytes", r.Bytes),
		slog.Duration("duration", r.Duration), slog.String("remote", r.Remote),
	}
	if r.Waited > 0 {
		attrs = append(attrs, slog.Duration("waited", r.Waited))
	}
	if r.Cache != "" {
		attrs = append(attrs, slog.String("cache", string(r.Cache)))
	}
	level := slog.LevelInfo
	if r.Err != nil {
		attrs = append(attrs, slog.String("error", r.Err.Error()))
		if r.Status >= 500 {
			level = slog.LevelError
		}
	}
	logger.LogAttrs(ctx, level, "pull", attrs...)
}
