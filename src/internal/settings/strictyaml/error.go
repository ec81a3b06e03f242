// SPDX-License-Identifier: Apache-2.0

package strictyaml

import (
	"strconv"
	"strings"
)

// Error is one defect.
type Error struct {
	// Place is the file, Secret or object, empty when the caller knows it better.
	Place string
	// Line counts from 1; 0 when it is not known.
	Line int
	// Key is the path of the key, such as "push_secret.name"; empty for the text as a whole.
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
