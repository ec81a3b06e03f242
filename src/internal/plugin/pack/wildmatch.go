// SPDX-License-Identifier: Apache-2.0

package pack

import "strings"

// wildmatch matches a name against a shell pattern as git does (wildmatch.c): bytes, not runes. With
// pathname, only "**" between slashes crosses a slash.
func wildmatch(pattern, name string, pathname bool) bool {
	w := &wild{pattern: pattern, name: name, pathname: pathname}
	return w.match(0, 0)
}

type wild struct {
	pattern, name string
	pathname      bool
	// tried are the places in pattern and name from which a star has looked for a match, and found none, or
	// else all is over. It bounds the time by the product of both lengths.
	tried map[[2]int]bool
}

// match matches the pattern from p on with the name from t on.
func (w *wild) match(p, t int) bool {
	for p < len(w.pattern) {
		if w.pattern[p] == '*' {
			return w.star(p, t)
		}
		if t == len(w.name) {
			return false
		}
		switch w.pattern[p] {
		case '?':
			if w.pathname && w.name[t] == '/' {
				return false
			}
		case '[':
			end, in := w.class(p+1, w.name[t])
			if !in {
				return false
			}
			p = end
		case '\\':
			if p++; w.at(p) != w.name[t] {
				return false
			}
		default:
			if w.pattern[p] != w.name[t] {
				return false
			}
		}
		p, t = p+1, t+1
	}
	return t == len(w.name)
}

// star matches from a run of stars on.
func (w *wild) star(start, t int) bool {
	end := start
	for w.at(end) == '*' {
		end++
	}
	crosses := !w.pathname
	rest := w.pattern[end:]
	if w.pathname && end-start > 1 && (start == 0 || w.pattern[start-1] == '/') &&
		(rest == "" || rest[0] == '/' || strings.HasPrefix(rest, `\/`)) {
		if strings.HasPrefix(rest, "/") && w.match(end+1, t) { // "**/" also stands for no directory
			return true
		}
		crosses = true
	}
	if w.tried == nil {
		w.tried = map[[2]int]bool{}
	}
	for i := t; !w.tried[[2]int{end, i}]; i++ {
		if w.match(end, i) {
			return true
		}
		w.tried[[2]int{end, i}] = true
		if i == len(w.name) || !crosses && w.name[i] == '/' {
			break
		}
	}
	return false
}

// at is the pattern's byte there; 0, which no pattern has, past its end.
func (w *wild) at(p int) byte {
	if p < len(w.pattern) {
		return w.pattern[p]
	}
	return 0
}

// class reports whether char is in the set that begins at p, after its bracket, and where the set ends. A set
// without an end has nothing in it, not even when it is negated.
func (w *wild) class(p int, char byte) (end int, in bool) {
	negated := w.at(p) == '!' || w.at(p) == '^'
	if negated {
		p++
	}
	var before byte // what a range begins with; 0 where none can
	for first := true; first || w.at(p) != ']'; first = false {
		c := w.at(p)
		switch next := w.at(p + 1); {
		case c == '-' && before != 0 && next != 0 && next != ']':
			if p++; next == '\\' {
				p++
			}
			if w.at(p) == 0 {
				return 0, false
			}
			in = in || before <= char && char <= w.at(p)
			c = 0
		case c == '[' && next == ':':
			length := strings.IndexByte(w.pattern[p+2:], ']')
			if length < 0 {
				return 0, false
			}
			name, closed := strings.CutSuffix(w.pattern[p+2:p+2+length], ":")
			if !closed { // an ordinary bracket
				in = in || char == c
				break
			}
			holds := posixClass(name)
			if holds == nil {
				return 0, false
			}
			in = in || holds(char)
			c, p = 0, p+2+length
		default:
			if c == '\\' {
				p++
				c = next
			}
			if c == 0 {
				return 0, false
			}
			in = in || char == c
		}
		before = c
		p++
	}
	if w.pathname && char == '/' {
		return p, false
	}
	return p, in != negated
}

// posixClass returns the test of a named class for ASCII, as git has it; nil for no such name.
func posixClass(name string) func(byte) bool {
	among := func(ranges ...string) func(byte) bool {
		return func(c byte) bool {
			for _, r := range ranges {
				if r[0] <= c && c <= r[1] {
					return true
				}
			}
			return false
		}
	}
	switch name {
	case "alnum":
		return among("09", "AZ", "az")
	case "alpha":
		return among("AZ", "az")
	case "blank":
		return among("  ", "\t\t")
	case "cntrl":
		return among("\x00\x1f", "\x7f\x7f")
	case "digit":
		return among("09")
	case "graph":
		return among("!~")
	case "lower":
		return among("az")
	case "print":
		return among(" ~")
	case "punct":
		return among("!/", ":@", "[`", "{~")
	case "space":
		return among("  ", "\t\n", "\r\r")
	case "upper":
		return among("AZ")
	case "xdigit":
		return among("09", "AF", "af")
	default:
		return nil
	}
}
