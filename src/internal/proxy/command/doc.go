// SPDX-License-Identifier: Apache-2.0

// Package command has the commands of the server: their flags, help and exit codes. It is a package, and not
// part of main, so that the reference pages are written from the same commands. What a command does is
// package proxy's.
package command
