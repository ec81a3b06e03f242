// SPDX-License-Identifier: Apache-2.0

// Package storage is where the image proxy's cache keeps objects: a directory, memory, or a bucket at Amazon,
// Google or Azure, each by its maker's library. Google's is asked as an S3 server, which it is, too: its own
// library would double the program.
//
// The package adds what a cache needs besides. A directory and memory stay below a size: what was used longest
// ago leaves first, across restarts. A storage that fails is left alone for a while, so that nobody waits for
// it. It refuses to read what it does not have to: a start looks at the names and times of files alone.
package storage
