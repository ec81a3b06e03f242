// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
)

// What a failed test shows of a log.
const (
	tailLines = 25
	tailWidth = 400
)

// Log collects what a process writes. It is safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Lines returns the complete lines.
func (l *Log) Lines() []string {
	text := l.String()
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(text[:end], "\n")
}

// Records returns the JSON lines with this msg.
func (l *Log) Records(msg string) []map[string]any {
	var found []map[string]any
	for _, line := range l.Lines() {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == msg {
			found = append(found, record)
		}
	}
	return found
}

// Tail returns the last lines, shortened, for people.
func (l *Log) Tail() string {
	var tail strings.Builder
	lines := l.Lines()
	for _, line := range lines[max(0, len(lines)-tailLines):] {
		tail.WriteString(line[:min(len(line), tailWidth)] + "\n")
	}
	return tail.String()
}
