// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"strconv"
	"strings"
)

// ErrNoRepository is the problem of settings that name no repository. It is not a mistake: the package installs without
// one, and /health says what is missing.
var ErrNoRepository = errors.New("repository: is not set: set it to registry/path, or to user/repo on Docker Hub")

// Error is one defect in the values. Its text is one line and never holds a value, which could be a misplaced password.
type Error struct {
	// Place is the file or Secret, empty when the caller knows it better.
	Place string
	// Line counts from 1; 0 when it is not known.
	Line int
	// Key is the path of the key, such as "push_secret.name"; empty for the file as a whole.
	Key string
	// Problem says what is wrong.
	Problem string
	// Remedy says what to do.
	Remedy string
}

// Error implements error: "place: line 3: key: problem: remedy".
func (e *Error) Error() string {
	var parts []string
	if e.Place != "" {
		parts = append(parts, e.Place)
	}
	if e.Line > 0 {
		parts = append(parts, "line "+strconv.Itoa(e.Line))
	}
	for _, part := range []string{e.Key, e.Problem, e.Remedy} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}
