// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxToken is the longest word of a list, in bytes; a tag has 128 at most.
	maxToken = 64 << 10
	// maxDepth is how deep a list's values may be nested.
	maxDepth = 1000
	// piece is how much of a list is mapped at a time, in bytes.
	piece = 16 << 10
)

// errList says that what should be a list of tags is none.
var errList = errors.New("not a list of tags")

var errBracket = fmt.Errorf("%w: a bracket where none belongs, or too many", errList)

// list is a list of tags as the client gets it, mapped while it is read. Whatever its length, no more than a
// piece of it is in memory. What is no list of tags ends with [errList], also in the middle.
type list struct {
	from *window
	in   *json.Decoder
	out  bytes.Buffer
	// name is the client's, in place of the registry's (quirk D4).
	name string
	// discreet leaves out what a list of tags has no need of.
	discreet bool

	open []bracket
	// skipping counts the open brackets of a value that is left out; -1: none is.
	skipping int
	// tags: the value of "tags" is next.
	tags bool
	// named and tagged say which keys there were.
	named, tagged bool
	ended         error
}

// bracket is an object or array that is open.
type bracket struct {
	object, tags bool
	// items are the keys and values so far.
	items int
}

func newList(from io.Reader, name string, discreet bool) *list {
	l := &list{from: &window{from: from}, name: name, discreet: discreet, skipping: -1}
	l.in = json.NewDecoder(l.from)
	l.in.UseNumber()
	l.from.read = l.in.InputOffset
	return l
}

// window fails when a single word of JSON becomes too long: the decoder would hold all of it.
type window struct {
	from io.Reader
	// read is how far the decoder is.
	read    func() int64
	arrived int64
	// err is what ended the reading early.
	err error
}

func (w *window) Read(p []byte) (int, error) {
	if w.arrived-w.read() > maxToken {
		w.err = fmt.Errorf("%w: a word in it is longer than %d KiB", errList, maxToken>>10)
		return 0, w.err
	}
	n, err := w.from.Read(p)
	w.arrived += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// Read implements [io.Reader].
func (l *list) Read(p []byte) (int, error) {
	for l.ended == nil && l.out.Len() < piece {
		l.ended = l.step()
	}
	if l.out.Len() > 0 {
		return l.out.Read(p)
	}
	return 0, l.ended
}

// step maps the next word.
func (l *list) step() error {
	token, err := l.in.Token()
	whole := l.named && len(l.open) == 0
	switch {
	case l.from.err != nil:
		return l.from.err
	case errors.Is(err, io.EOF) && whole:
		l.out.WriteByte('}') // only now is it known that nothing follows
		return io.EOF
	case err != nil:
		return fmt.Errorf("%w: %s", errList, err.Error()) // an io.EOF here is no end
	case whole:
		return fmt.Errorf("%w: more follows it", errList)
	case len(l.open) == 0:
		if token != json.Delim('{') {
			return fmt.Errorf("%w: no object", errList)
		}
	case l.skipping >= 0:
		return l.skip(token)
	case len(l.open) == 1 && l.top().items%2 == 0 && token != json.Delim('}'):
		return l.field(token)
	}
	return l.value(token)
}

func (l *list) top() *bracket { return &l.open[len(l.open)-1] }

// skip leaves out a word of a value.
func (l *list) skip(token json.Token) error {
	switch token {
	case json.Delim('{'), json.Delim('['):
		if l.skipping++; l.skipping > maxDepth {
			return errBracket
		}
	case json.Delim('}'), json.Delim(']'):
		l.skipping--
	}
	if l.skipping == 0 {
		l.skipping = -1
	}
	return nil
}

// field maps a key of the list itself. Clients written in Go do not tell capitals from small letters in it.
func (l *list) field(token json.Token) error {
	key, _ := token.(string)
	switch {
	case strings.EqualFold(key, "name"):
		l.named, l.skipping = true, 0
		return errors.Join(l.write(key), l.write(l.name))
	case strings.EqualFold(key, "tags"):
		l.tagged, l.tags = true, true
	case l.discreet:
		l.skipping = 0
		return nil
	}
	return l.write(key)
}

// value maps a word of a value.
func (l *list) value(token json.Token) error {
	isTags, inTags := l.tags, len(l.open) > 0 && l.top().tags
	l.tags = false
	switch token := token.(type) {
	case json.Delim:
		switch {
		case (token == '{' || token == '[') && (len(l.open) == maxDepth || inTags || isTags && token == '{'):
			return errBracket
		case token == '{' || token == '[':
			l.begin(token, isTags)
			return nil
		}
		return l.end(token)
	case nil:
		if isTags { // quirk D5
			l.separate()
			l.out.WriteString("[]")
			return nil
		}
	case string:
		if isTags {
			return fmt.Errorf("%w: no array", errList)
		}
	default:
		if isTags || inTags {
			return fmt.Errorf("%w: a tag that is no text", errList)
		}
	}
	return l.write(token)
}

func (l *list) begin(token json.Delim, tags bool) {
	l.separate()
	l.out.WriteRune(rune(token))
	l.open = append(l.open, bracket{object: token == '{', tags: tags})
}

func (l *list) end(token json.Delim) error {
	if len(l.open) > 1 {
		l.out.WriteRune(rune(token))
	} else if err := l.complete(); err != nil {
		return err
	}
	l.open = l.open[:len(l.open)-1]
	return nil
}

// complete adds what a list of tags has and the registry's has not (quirk D5).
func (l *list) complete() error {
	if !l.named {
		l.named = true
		if err := errors.Join(l.write("name"), l.write(l.name)); err != nil {
			return err
		}
	}
	if l.tagged {
		return nil
	}
	err := l.write("tags")
	l.separate()
	l.out.WriteString("[]")
	return err
}

// separate writes what comes between the last word and the next one.
func (l *list) separate() {
	if len(l.open) == 0 {
		return
	}
	top := l.top()
	switch {
	case top.items == 0:
	case top.object && top.items%2 == 1:
		l.out.WriteByte(':')
	default:
		l.out.WriteByte(',')
	}
	top.items++
}

// write writes a key, or a value without brackets.
func (l *list) write(token json.Token) error {
	l.separate()
	if text, ok := token.(string); ok && isPlain(text) {
		l.out.WriteByte('"')
		l.out.WriteString(text)
		l.out.WriteByte('"')
		return nil
	}
	word, err := json.Marshal(token)
	if err != nil {
		return fmt.Errorf("%w: %w", errList, err)
	}
	l.out.Write(word)
	return nil
}

// isPlain reports whether a text, such as a tag, is in JSON as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
