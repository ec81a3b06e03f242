// SPDX-License-Identifier: Apache-2.0

package store

import (
	"log/slog"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

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

// unknownKind is that of documents of which it is not known which object they are.
const unknownKind = "unknown"

// number is how many objects there are of a kind.
type number struct{ valid, invalid int }

func (n *number) add(valid bool) {
	if valid {
		n.valid++
	} else {
		n.invalid++
	}
}

// count counts objects by kind.
func count(read reading, now map[id]*standing) map[string]*number {
	numbers := map[string]*number{
		v1alpha1.LicenseKind: {}, v1alpha1.RegistryKind: {}, unknownKind: {invalid: len(read.faults)},
	}
	for _, o := range read.objects {
		numbers[o.kind].add(now[o.id].verdict.message == "")
	}
	return numbers
}

// report logs what has become usable, or not, since before.
func report(log *slog.Logger, read reading, now, before map[id]*standing, faults map[string]fault) {
	for _, o := range read.objects {
		s := now[o.id]
		switch message := s.verdict.message; {
		case message == s.since(before).verdict.message:
		case message == "":
			log.Info("object usable again", "object", o.String())
		default:
			notUsable(log, o.String(), message, s.consequence())
		}
	}
	for place, fault := range read.faults {
		if fault.problem != faults[place].problem {
			notUsable(log, place, fault.problem, fault.consequence())
		}
	}
}

func notUsable(log *slog.Logger, what, problem, consequence string) {
	log.Error("object not usable", "object", what, "problem", problem, "consequence", consequence)
}

// since returns the standing of the same object before; a zero one if it is new.
func (s *standing) since(before map[id]*standing) *standing {
	if was := before[s.object.id]; was != nil && was.object.uid == s.object.uid {
		return was
	}
	return &standing{}
}

// consequence says what is in force of an object that cannot be used. Another replica, which has started
// since, may have nothing.
func (s *standing) consequence() string {
	switch {
	case s.force.empty(), s.entry != nil && s.entry.Upstream == nil:
		return "nothing of it is in force"
	case s.force.license != nil && s.revoked:
		return "it is revoked all the same"
	default:
		return "what was in use before stays in force"
	}
}

// consequence says what is in force of a place in which no object is known.
func (f fault) consequence() string {
	if f.kept {
		return "what it said before stays in force"
	}
	return "it is left out"
}
