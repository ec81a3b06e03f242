// SPDX-License-Identifier: Apache-2.0

package session

import "time"

// Lifetime is how long after its last accepted chunk an upload can be continued. Registries forget theirs
// after a day to a week.
const Lifetime = 24 * time.Hour

// Record is the state of one upload session, which only the token carries.
type Record struct {
	// Registry and Repository are the upstream's, so that a session does not outlive a change of the
	// settings.
	Registry   string `json:"h"`
	Repository string `json:"r"`
	// Location is the upstream's own session: path and query on that registry, byte for byte (quirk U1).
	Location string `json:"l"`
	// Offset is how many bytes the upstream has accepted.
	Offset int64 `json:"o,omitempty"`
	// Reported is how many bytes the upstream said it had then: less where its Range sticks (quirk U2) or is
	// about one chunk, one too many, or nothing (quirk U6). Offset is the truth then.
	Reported int64 `json:"e,omitempty"`
	// Issued is when the token was sealed, in Unix seconds.
	Issued int64 `json:"t"`
}

// Accepting returns the record after a chunk of some bytes, beginning at first, of which the upstream says
// that it now has said bytes. What upstreams say is sometimes wrong (see Reported), so the bytes are counted.
func (r Record) Accepting(first, bytes, said int64) Record {
	onwards, counted := r.Offset+bytes, first+bytes
	r.Offset, r.Reported = counted, said
	switch {
	case said > counted+1: // more had arrived than the session knows: the answer to it was lost
		r.Offset = said
	case said == onwards: // the upstream did not put the chunk where it said it begins, but at the end
		r.Offset = onwards
	}
	return r
}

// Reporting returns the record after the upstream was asked, and says that it has said bytes. Nothing but its
// last answer to a chunk stands against its word.
func (r Record) Reporting(said int64) Record {
	switch {
	case said == r.Reported: // nothing new: Offset counts what it means by that
	case r.Reported < r.Offset && said < r.Offset: // it says too little, as it did when more was accepted
		r.Reported = said
	default:
		r.Offset, r.Reported = said, said
	}
	return r
}

// Owner is whom a token belongs to: a token that is sealed for one owner does not open for another.
type Owner struct {
	// Side is the name of the side through which the upload was started.
	Side string
	// Name is the repository's name as the client of that side writes it.
	Name string
}

func (o Owner) bytes() []byte { return []byte(o.Side + "\x00" + o.Name) }
