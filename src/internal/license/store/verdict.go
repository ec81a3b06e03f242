// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"strings"
	"unique"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// settled is what was decided at one moment.
type settled struct {
	catalog *catalog.Catalog
	// retired are registries that the catalog does not need any more, to be closed once it is in force.
	retired []*upstream.Registry
	numbers map[string]*number // by kind
	news    []told
	// wishes are the conditions that should be other ones.
	wishes map[key]*wish
}

// number is how many objects there are of a kind.
type number struct{ valid, invalid int }

// told is a verdict on something that was another before.
type told struct {
	what string
	// consequence is what is in force in spite of it.
	consequence string
	verdict     verdict
}

// verdict is what is said of an object.
type verdict struct {
	// reason is that of the condition; empty as long as nothing can be said.
	reason string
	// message is what is wrong; empty where nothing is.
	message string
}

// The reasons of the condition "Valid".
const (
	inForce       = "InForce"
	invalid       = "Invalid"
	contradiction = "Contradiction"
	credentialBad = "CredentialUnreadable"
)

// unknownKind is that of documents that tell none.
const unknownKind = "unknown"

// stray is what is wrong with a place in which no object can be told.
type stray struct {
	err error
	// kept says that the place held objects that may be those meant, and that stay as they were.
	kept bool
	told bool
}

// stray takes what is wrong with places, without an error where nothing is any more.
func (s *set) stray(strays map[string]stray) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for place, now := range strays {
		before, known := s.strays[place]
		switch {
		case now.err == nil:
			delete(s.strays, place)
		case !known || before.err.Error() != now.err.Error():
			s.strays[place] = now
		}
	}
}

// judge counts objects, and tells of those whose verdict has changed.
func (s *set) judge(done *settled) {
	for _, kind := range []string{v1alpha1.LicenseKind, v1alpha1.RegistryKind, unknownKind} {
		done.numbers[kind] = &number{}
	}
	count := func(kind string, v verdict) {
		if v.message == "" {
			done.numbers[kind].valid++
		} else {
			done.numbers[kind].invalid++
		}
	}
	last := &verdict{}
	for _, o := range s.order {
		v := o.verdict()
		count(o.key.kind(), v)
		if o.told != nil && v == *o.told && o.generation == o.toldOf {
			continue
		}
		if v != *last { // most say the same
			last = &v
		}
		if o.told == nil && v.message != "" || o.told != nil && v.message != o.told.message {
			done.news = append(done.news, told{o.key.String(), o.consequence(), v})
		}
		// What is observed may be right, and an earlier wish still wait to change it.
		if w := o.wish(v); v.reason != "" && (o.told != nil || unique.Make(w.standing) != o.observed) {
			done.wishes[o.key] = w
		}
		o.told, o.toldOf = last, o.generation
	}
	for place, each := range s.strays {
		v := verdict{invalid, oneLine(each.err)}
		count(unknownKind, v)
		if !each.told {
			done.news = append(done.news, told{place, each.consequence(), v})
		}
		each.told = true
		s.strays[place] = each
	}
}

// verdict says what has become of an object.
func (o *object) verdict() verdict {
	switch {
	case o.problem != nil:
		return verdict{invalid, oneLine(o.problem)}
	case o.against == nil:
		return verdict{inForce, ""}
	case o.against.clash != nil:
		return verdict{contradiction, oneLine(o.against.clash)}
	case !errors.Is(o.against.unread, errNotRead):
		return verdict{credentialBad, oneLine(o.against.unread)}
	case o.told != nil:
		return *o.told // until it is known
	default:
		return verdict{}
	}
}

// consequence says what is in force of an object that cannot be used. Another replica, which has started since, may have nothing.
func (o *object) consequence() string {
	switch {
	case o.force.empty(), o.force.registry != nil && o.link == nil:
		return "nothing of it is in force"
	case o.force.license != nil && o.revoked:
		return "it is revoked all the same"
	default:
		return "what was in use before stays in force"
	}
}

// consequence says what is in force of a place in which no object can be told.
func (s stray) consequence() string {
	if s.kept {
		return "what it said before stays in force"
	}
	return "it is left out"
}

// oneLine is an error for a log and a condition.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
