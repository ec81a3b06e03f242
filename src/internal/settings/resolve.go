// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/strictyaml"
)

// Settings are what the server works with. They are immutable; a change makes new ones.
type Settings struct {
	// Registry is the upstream's host, with a port where it is not the default, in lower case. Docker Hub is
	// always "index.docker.io", the name its credentials are stored under (quirk A9).
	Registry string
	// Repository is the path of the target repository within the registry.
	Repository string
	// PlainHTTP says that the operator asked for HTTP without TLS. That a registry on loopback may be asked
	// in plain HTTP without this is for the upstream to know.
	PlainHTTP bool
	// TokenRealms are hosts, in lower case, that may be shown the credential beside the registry's own.
	TokenRealms []string
	// CACertData holds PEM certificates that are trusted beside the system's roots; every block has been
	// parsed.
	CACertData []byte
	// AllowPull, AllowDelete and AllowSubRepositories are the values of these names.
	AllowPull, AllowDelete, AllowSubRepositories bool
	// Tenancy is how namespaces share the repository in the namespaced API: [TenancyRepositories] or
	// [TenancyTags].
	Tenancy string
	// Problem is why nothing can be pushed with these settings; nil when they are good. It wraps
	// [ErrNoRepository] when that is all, or else holds an [*Error] for each invalid value. The text is fit
	// for /health: it shows no values.
	Problem error
}

// Configured reports whether the settings can be used to push.
func (s Settings) Configured() bool { return s.Problem == nil }

// Invalid reports whether a value is wrong, as opposed to no repository being set yet.
func (s Settings) Invalid() bool {
	return s.Problem != nil && !errors.Is(s.Problem, ErrNoRepository)
}

// Equal reports whether both lead to the same behaviour. Problems are compared by their text.
func (s Settings) Equal(t Settings) bool {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	return s.Registry == t.Registry && s.Repository == t.Repository && s.PlainHTTP == t.PlainHTTP &&
		slices.Equal(s.TokenRealms, t.TokenRealms) && bytes.Equal(s.CACertData, t.CACertData) && s.AllowPull == t.AllowPull && s.AllowDelete == t.AllowDelete &&
		s.AllowSubRepositories == t.AllowSubRepositories && s.Tenancy == t.Tenancy && text(s.Problem) == text(t.Problem)
}

// Resolve makes settings of the values, with the platform's as fallbacks. The place is where the values are
// from, for the problem's text; empty when that need not be said.
//
// There is no error beside the settings, on purpose: a server in a cluster starts with whatever it is given,
// and
// [Settings.Problem] is what /health then tells the people who can mend it. A caller who wants to refuse such
// settings, as on a workstation, looks at Problem and stops.
func (v Values) Resolve(place string) Settings {
	s := Settings{
		PlainHTTP:            v.PlainHTTP,
		AllowPull:            v.AllowPull,
		AllowDelete:          v.AllowDelete,
		AllowSubRepositories: v.AllowSubRepositories,
	}
	var problems []error
	if err := errors.Join(
		strictyaml.CheckCABundle(place, "ca_cert_data", v.CACertData),
		strictyaml.CheckCABundle(place, "shared.ca_cert_data", v.Shared.CACertData),
	); err != nil {
		problems = append(problems, err)
	} else {
		s.CACertData = []byte(v.WithShared().CACertData)
	}

	for i, host := range v.TokenRealms {
		if err := checkRealm(place, fmt.Sprintf("token_realms[%d]", i), host); err != nil {
			problems = append(problems, err)
			continue
		}
		s.TokenRealms = append(s.TokenRealms, strings.ToLower(host))
	}

	tenancy, err := v.tenancy(place)
	if err != nil {
		problems = append(problems, err)
	}
	s.Tenancy = tenancy

	key := "repository"
	if v.Repository == "" {
		key = "shared.image_registry.project_path"
	}
	switch repository := v.WithShared().Repository; {
	case repository != "":
		registry, path, err := parseRepository(place, key, repository)
		if err == nil && v.NamespacedAPI.Enabled && tenancy == TenancyRepositories {
			err = checkRoom(place, key, registry, path)
		}
		if err != nil {
			problems = append(problems, err)
			break
		}
		s.Registry, s.Repository = registry, path
	case len(problems) == 0 && place != "":
		problems = append(problems, fmt.Errorf("%s: %w", place, ErrNoRepository))
	case len(problems) == 0:
		problems = append(problems, ErrNoRepository)
	}
	s.Problem = errors.Join(problems...)
	return s
}
