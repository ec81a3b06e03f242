// SPDX-License-Identifier: Apache-2.0

// Package commands uses the proxies as people do at a shell: with the released programs of other projects.
// Every command is a process with a home of its own, so that nothing which one has learned about a
// registry helps the next. It has no code of its own: only tests.
package commands
