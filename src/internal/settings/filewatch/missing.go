// SPDX-License-Identifier: Apache-2.0

package filewatch

import "io/fs"

// Missing makes err what the error of a missing file is: it wraps [io/fs.ErrNotExist]. The text stays.
func Missing(err error) error { return missing{err} }

type missing struct{ error }

// Is implements what [errors.Is] looks for.
func (missing) Is(target error) bool { return target == fs.ErrNotExist }

func (m missing) Unwrap() error { return m.error }
