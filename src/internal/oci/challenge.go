// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/http"
	"strings"
)

// Challenge is one challenge of a response.
type Challenge struct {
	// Scheme is in lower case, such as "basic" or "bearer".
	Scheme string
	// Params have lower-case names; of a name that comes twice the first counts.
	Params map[string]string
}

// ParseChallenges reads all challenges of a header, in their order. What cannot be read ends the header line
// it is in, and what was read before it counts.
func ParseChallenges(header http.Header) []Challenge {
	var challenges []Challenge
	for _, line := range header.Values("WWW-Authenticate") {
		p := parser{rest: line}
		challenges = append(challenges, p.challenges()...)
	}
	return challenges
}

type parser struct{ rest string }

func (p *parser) challenges() []Challenge {
	var challenges []Challenge
	p.skip(" \t,")
	scheme := p.token()
	for scheme != "" {
		c := Challenge{Scheme: strings.ToLower(scheme), Params: map[string]string{}}
		scheme = p.params(c.Params)
		challenges = append(challenges, c)
	}
	return challenges
}

// params reads parameters until a word comes that is not followed by "=": the scheme of the next challenge,
// which it returns.
func (p *parser) params(into map[string]string) (next string) {
	for {
		p.skip(" \t,")
		name := p.token()
		if name == "" {
			return ""
		}
		p.skip(" \t")
		if !strings.HasPrefix(p.rest, "=") {
			return name
		}
		p.rest = p.rest[1:]
		p.skip(" \t")
		value, ok := p.value()
		if !ok {
			return ""
		}
		name = strings.ToLower(name)
		if _, seen := into[name]; !seen {
			into[name] = value
		}
	}
}

func (p *parser) value() (string, bool) {
	if !strings.HasPrefix(p.rest, `"`) {
		value := p.token()
		return value, value != ""
	}
	var value strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return value.String(), true
		case c == '\\' && i+1 < len(p.rest):
			i++
			value.WriteByte(p.rest[i])
		default:
			value.WriteByte(c)
		}
	}
	return "", false
}

func (p *parser) token() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool { return !isTokenChar(r) })
	if end < 0 {
		end = len(p.rest)
	}
	token := p.rest[:end]
	p.rest = p.rest[end:]
	return token
}

func (p *parser) skip(set string) { p.rest = strings.TrimLeft(p.rest, set) }

// isTokenChar is tchar of RFC 9110, section 5.6.2, and "/", which registries send unquoted in realms and
// token68 has too.
func isTokenChar(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~/:", r)
}
