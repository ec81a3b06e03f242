// SPDX-License-Identifier: Apache-2.0

// Package httpserver runs the listeners, and is where every request begins and ends.
//
// A request gets an id. At its end it becomes one line in the log, one count in the metrics and, if it
// failed, one error answer. Handlers return an error and never write one. They note what they learn in the
// request's [Entry]. Paths, queries and header values are not noted, because upload sessions and
// credentials travel in them.
//
// Limits protect the process: how long a header may take, how large it may be, how many connections are
// open, and how many transfers are in flight. The last two follow from the memory limit ([CapacityOf]). No
// limit is on the length or duration of a body (quirk U8).
//
// A [Certificate] is reloaded when its files change. Whoever renews it writes two files, one after the
// other, so a pair that does not fit is logged and the pair before it stays in force.
//
// The package knows no registry and refuses to decide about requests.
package httpserver
