// SPDX-License-Identifier: Apache-2.0

// Package doctor finds out why a push does not work, as the developer sees it.
//
// The way to the registry has seven links, and an error at its end rarely says which one is broken. The
// package walks them in order, stops at the first that does not hold, and says what to do about it and who
// can. It changes nothing but an upload that it starts and cancels. What it cannot ask for is reported as
// not looked at.
package doctor
