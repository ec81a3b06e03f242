// SPDX-License-Identifier: Apache-2.0

package httpserver

// maxHeaderLines is how many lines the header of a request may have. net/http bounds bytes alone, and keeps
// twenty times as many of them where each line is as short as can be.
const maxHeaderLines = 100

// headerLines counts the lines of a header while it arrives.
type headerLines struct {
	lines int
	// length is that of the line so far.
	length int
	// past: the header is complete, and what comes is a body.
	past bool
	// over: the header has too many lines.
	over bool
}

// reset begins to count anew, when a connection waits for its next request.
func (h *headerLines) reset() { *h = headerLines{} }

// look goes through what has arrived. What is over the limit becomes one long line, and no header ends in
// it: net/http then finds it too large, and answers.
func (h *headerLines) look(arrived []byte) {
	for i, b := range arrived {
		switch {
		case h.past:
			return
		case h.over:
			arrived[i] = 'x'
		case b == '\n' && h.length == 0:
			h.past = h.lines > 0 // net/http passes over empty lines ahead of a request
		case b == '\n':
			h.lines, h.length = h.lines+1, 0
			h.over = h.lines > maxHeaderLines
		case b != '\r':
			h.length++
		}
	}
}

// Read implements [net.Conn].
func (c ociConn) Read(p []byte) (int, error) {
	if c.header.over {
		c.header.look(p)
		return len(p), nil
	}
	n, err := c.Conn.Read(p)
	c.header.look(p[:n])
	return n, c.secured(err)
}
