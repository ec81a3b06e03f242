// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/session"
)

// TestAccepting: how far an upload is after a chunk, by what was counted and by what the upstream says.
func TestAccepting(t *testing.T) {
	for _, test := range []struct {
		name                                  string
		offset, first, bytes, said, wantsNext int64
	}{
		{"it says what was counted", 100, 100, 50, 150, 150},
		{"it says nothing", 100, 100, 50, 0, 150},
		{"it stays at the first chunk", 100, 100, 50, 100, 150},
		{"it tells the chunk alone", 100, 100, 50, 50, 150},
		{"it says one too many", 100, 100, 50, 151, 150},
		{"more had arrived than the session knew", 100, 100, 50, 450, 450},
		{"the client knew more than the session", 100, 300, 50, 350, 350},
		{"the client knew more, and it says nothing", 100, 300, 50, 0, 350},
		{"a chunk from elsewhere was appended", 100, 300, 50, 150, 150},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := session.Record{Offset: test.offset}.Accepting(test.first, test.bytes, test.said)
			if got.Offset != test.wantsNext || got.Reported != test.said {
				t.Errorf("stands at %d, reported %d; want %d, %d", got.Offset, got.Reported, test.wantsNext, test.said)
			}
		})
	}
}

// TestReporting: how far an upload is when the upstream is asked, by what it said when more was last
// accepted.
func TestReporting(t *testing.T) {
	for _, test := range []struct {
		name                             string
		offset, reported, said, standsAt int64
	}{
		{"nothing new", 100, 100, 100, 100},
		{"more has arrived", 100, 100, 300, 300},
		{"it has forgotten some", 100, 100, 40, 40},
		{"nothing has ever arrived", 0, 0, 0, 0},
		{"something has, for the first time", 0, 0, 30, 30},
		{"one byte is told like none", 1, 0, 0, 1},
		{"it stays where it was when more was accepted", 100, 40, 40, 100},
		{"it says too little as it did before", 100, 40, 60, 100},
		{"it says more for once", 100, 40, 120, 120},
		{"it says one too many as it did before", 100, 101, 101, 100},
		{"one too many before, and right now", 100, 101, 100, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (session.Record{Offset: test.offset, Reported: test.reported}).Reporting(test.said); got.Offset != test.standsAt {
				t.Errorf("stands at %d, want %d", got.Offset, test.standsAt)
			}
		})
	}
}
