// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// lines is a log for people: the message, then the values, no time and no level.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

// Enabled implements [slog.Handler].
func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements [slog.Handler].
func (l *lines) Handle(_ context.Context, record slog.Record) error {
	var line strings.Builder
	line.WriteString(record.Message)
	record.Attrs(func(attr slog.Attr) bool {
		fmt.Fprintf(&line, " %v", attr.Value)
		return true
	})
	line.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.w, line.String())
	return err
}

// WithAttrs implements [slog.Handler]; nothing here uses it.
func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler]; nothing here uses it.
func (l *lines) WithGroup(string) slog.Handler { return l }
