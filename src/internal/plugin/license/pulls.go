// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// message is what the log calls a line of the image proxy.
const message = "pull"

// maxLine is the length of the longest line that is looked at; no line of the server is near it.
const maxLine = 64 << 10

// ErrNoJSON says that a log has lines, and that none of them has the server's JSON form.
var ErrNoJSON = errors.New("no line of it is JSON: run the server with --log-format json")

// Pull is one request that came with the license.
type Pull struct {
	Time     time.Time `json:"time"`
	ID       string    `json:"id,omitempty"`
	License  string    `json:"license"`
	Customer string    `json:"customer,omitempty"`
	App      string    `json:"app,omitempty"`
	// Action is auth, manifest, HEAD, blob, tags or referrers.
	Action string `json:"action"`
	// Image is the registry and repository as the client wrote them, Reference the tag or digest.
	Image     string `json:"image,omitempty"`
	Reference string `json:"reference,omitempty"`
	Status    int    `json:"status"`
	Success   bool   `json:"success"`
	Bytes     int64  `json:"bytes"`
	// Cache is hit, miss, shared, stale or bypass; empty where the server has no cache.
	Cache string `json:"cache,omitempty"`
	// Duration is in nanoseconds, as in the log. Seconds says the same with its unit.
	Duration time.Duration `json:"duration"`
	Seconds  float64       `json:"durationSeconds"`
	Remote   string        `json:"remote,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// PullQuery says which pulls are wanted.
type PullQuery struct {
	// License is the license's name.
	License string
	// Since leaves older ones out; the zero time leaves out none.
	Since time.Time
	// Limit is how many of the newest are kept; it is more than 0.
	Limit int
}

// ReadPulls returns the pulls of a log, oldest first. A log that is not in JSON is [ErrNoJSON], and not one
// without pulls.
func ReadPulls(log io.Reader, q PullQuery) ([]Pull, error) {
	reader := bufio.NewReaderSize(log, maxLine)
	var newest []Pull
	var text, inJSON bool
	for {
		line, err := reader.ReadSlice('\n')
		text = text || len(bytes.TrimSpace(line)) > 0
		if errors.Is(err, bufio.ErrBufferFull) {
			err = skipLine(reader)
			line = nil
		}
		inJSON = inJSON || isJSON(line)
		if p, ok := q.parse(line); ok {
			newest = append(newest, p)
		}
		if len(newest) >= 2*q.Limit {
			newest = q.Merge(newest)
		}
		switch {
		case errors.Is(err, io.EOF) && text && !inJSON:
			return nil, ErrNoJSON
		case errors.Is(err, io.EOF):
			return q.Merge(newest), nil
		case err != nil:
			return q.Merge(newest), fmt.Errorf("read the log: %w", err)
		}
	}
}

func skipLine(reader *bufio.Reader) error {
	for {
		if _, err := reader.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// Merge returns the newest of several logs, oldest first.
func (q PullQuery) Merge(logs ...[]Pull) []Pull {
	all := slices.Concat(logs...)
	slices.SortStableFunc(all, func(a, b Pull) int { return a.Time.Compare(b.Time) })
	return slices.Clone(all[max(0, len(all)-q.Limit):])
}

// isJSON reports whether a line ends in a whole JSON object.
func isJSON(line []byte) bool {
	start := bytes.IndexByte(line, '{')
	return start >= 0 && json.Valid(line[start:])
}

// parse reads a line. Something may stand ahead of the JSON: tools that collect logs put a time or the pod's
// name there.
func (q PullQuery) parse(line []byte) (Pull, bool) {
	start := bytes.IndexByte(line, '{')
	if start < 0 || !bytes.Contains(line, []byte(`"`+message+`"`)) {
		return Pull{}, false
	}
	var found struct {
		Message string `json:"msg"`
		Pull
	}
	if err := json.Unmarshal(line[start:], &found); err != nil {
		return Pull{}, false
	}
	found.Seconds = found.Duration.Seconds()
	wanted := found.Message == message && found.License == q.License && !found.Time.IsZero() && !found.Time.Before(q.Since)
	return found.Pull, wanted
}
