// SPDX-License-Identifier: Apache-2.0

// Package filewatch tells when the content of files changes.
//
// A mounted Secret changes by a swapped symbolic link. Editors write a new file over the old one. Either
// leaves moments without the file. The package therefore watches directories, waits until a burst of events
// is over, and compares what the files hold. It does not judge the content, and never reports a change that
// left every byte as it was.
package filewatch
