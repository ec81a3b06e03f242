// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/local-source-proxy/local-source-proxy/src/internal/httpserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// rule says which rule a request was denied by; empty: none of these.
func (r Reason) rule() string {
	switch r {
	case RateLimited:
		return "too many failures come from this address"
	case Unauthenticated:
		return "no license was shown, or a token that is not good for this"
	case UnknownLicense:
		return "no License has this id"
	case Expired:
		return "the License, or this id of it, has ended by the clock"
	case Revoked:
		return "the License is revoked"
	case OtherApp:
		return "the License is for another application"
	case RegistryUnknown:
		return "no ExternalRegistry has this host name or alias"
	case RegistryClosed:
		return "appAccess of the ExternalRegistry does not list the application"
	case RepositoryClosed:
		return "repositories of the ExternalRegistry do not have the repository"
	case NotLicensed:
		return "images of the License do not have the repository, the tag, or a tag that leads to the digest"
	case TooManyPulls:
		return "the License has as many pulls under way as it may"
	case UpstreamRefused:
		return "the registry does not take the credential of its ExternalRegistry, or that has none"
	default:
		return ""
	}
}

// admitted logs at debug why a request was. Names are those of objects; neither the id of a license nor a token
// is in it.
func (v *visit) admitted(ctx context.Context, credential *catalog.Credential, rule string) {
	v.passed = true
	if v.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		v.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "admitted",
			append(v.about(ctx, rule), slog.String("credential", credential.Name))...)
	}
}

// explainRefusal logs at debug why a request was refused, if it was. What is only counted is not explained either.
func (v *visit) explainRefusal(ctx context.Context, err error) {
	if v.silent || err == nil || v.passed && v.record.Reason == "" || !v.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	rule := cmp.Or(v.record.Reason.rule(), err.Error())
	v.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "refused",
		append(v.about(ctx, rule), slog.String("reason", string(v.record.Reason)))...)
}

// about is what such a line says.
func (v *visit) about(ctx context.Context, rule string) []slog.Attr {
	return []slog.Attr{
		slog.String("door", Side), slog.String("id", httpserver.EntryOf(ctx).ID), slog.String("rule", rule),
		slog.String("license", v.record.License), slog.String("app", v.record.App), slog.String("registry", v.registry),
		slog.String("image", v.record.Image), slog.String("reference", v.record.Reference),
	}
}
