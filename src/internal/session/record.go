// SPDX-License-Identifier: Apache-2.0

package session

import "time"

// Lifetime is how long after its last accepted chunk an upload can be continued. Registries forget theirs after a day to a week.
const Lifetime = 24 * time.Hour

// Record is the state of one upload session, which only the token carries.
type Record struct {
	// Registry and Repository are the upstream's, so that a session does not outlive a change of the settings.
	Registry   string `json:"h"`
	Repository string `json:"r"`
	// Location is the upstream's own session: path and query on that registry, byte for byte (quirk U1).
	Location string `json:"l"`
	// Offset is how many bytes the upstream has accepted.
	Offset int64 `json:"o,omitempty"`
	// RangeWrong says that this upstream was seen to report something else than it had accepted: less, because its Range sticks
	// (quirk U2) or is about one chunk, or one more (quirk U6). Offset is the truth then.
	RangeWrong bool `json:"s,omitempty"`
	// Issued is when the token was sealed, in Unix seconds.
	Issued int64 `json:"t"`
}

// Owner is whom a token belongs to: a token that is sealed for one owner does not open for another.
type Owner struct {
	// Side is the name of the side through which the upload was started.
	Side string
	// Name is the repository's name as the client of that side writes it.
	Name string
}

func (o Owner) bytes() []byte { return []byte(o.Side + "\x00" + o.Name) }
