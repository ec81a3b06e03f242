// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"net/netip"
	"slices"
	"strings"
)

// mention is a part of a string that reads as an image.
type mention struct {
	image      Image
	start, end int
	// named says that the field, flag or variable is called an image.
	named bool
	// sure says that it is an image. What is not sure goes through the proxy only when its registry wants
	// credentials for it.
	sure bool
}

// readMention reads a part of a string as an image, if it may be one. name is what the part is called.
//
// Much reads as an image by grammar: label keys, module paths, files, "host:port". So a tag or a digest is
// needed, and a registry's host or an owner. Without a tag the name has to end with "image".
func readMention(text string, start, end int, name string) (mention, bool) {
	switch part := text[start:end]; {
	case !strings.ContainsAny(part, "/:@"), strings.Contains(part, "//"),
		!strings.ContainsAny(part, ":@") && !endsWithImage(name): // by far the most
		return mention{}, false
	}
	image, err := ParseImage(text[start:end])
	if err != nil || image.Written == placeholder || !plausible(image) {
		return mention{}, false
	}
	m := mention{image: image, start: start, end: end, named: callsImage(name)}
	versioned := image.Tag != "" || image.Digest != ""
	switch owned := strings.Contains(image.Name, "/"); {
	case versioned && image.Host == "" && !m.named && isNumber(image.Tag):
		return m, false // namespace/service:port
	case versioned && (owned || m.named):
		return m, true
	default:
		return m, owned && endsWithImage(name)
	}
}

// plausible refuses what the grammar allows and no registry has.
func plausible(image Image) bool {
	if slices.Contains([]string{"NoSchedule", "PreferNoSchedule", "NoExecute"}, image.Tag) {
		return false // a taint
	}
	host, _, found := strings.Cut(image.Name, "/")
	if !found || !strings.ContainsAny(host, ".:") {
		return true
	}
	name, port, ported := strings.Cut(host, ":")
	if ported && !isNumber(port) {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last != "" && !isNumber(last[:1]) && !slices.Contains(fileExtensions(), last)
}

// fileExtensions end the names of files and directories that read as hosts.
func fileExtensions() []string {
	return []string{"d", "conf", "json", "yaml", "yml", "txt", "log", "go", "js", "xml", "html", "local"}
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// callsImage reports whether a name of a field, flag or variable speaks of an image.
func callsImage(name string) bool { return strings.Contains(strings.ToLower(name), "image") }

// endsWithImage reports whether a name means an image as such, and not its registry, repository or tag.
func endsWithImage(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "image") || strings.HasSuffix(name, "images") || strings.HasPrefix(name, "related_image_")
}

// mentions returns the images in a string, and how they stand there. name is what the string is called.
func mentions(text, name string) ([]mention, Form) {
	start := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	end := len(strings.TrimRight(text, " \t\r\n"))
	if start >= end {
		return nil, ""
	}
	if !strings.ContainsAny(text[start:end], " \t\r\n,;") {
		if m, ok := readMention(text, start, end, name); ok {
			return []mention{m}, Whole
		}
		if m, ok := bareWord(text, start, end, name); ok {
			return []mention{m}, Whole
		}
		if at := strings.LastIndexByte(text[:end], '='); at > start {
			if m, ok := readMention(text, at+1, end, longer(text[start:at], name)); ok {
				return []mention{m}, Assigned
			}
		}
	}
	if !strings.ContainsAny(text, "/:@") {
		return nil, ""
	}
	if all := listed(text, name); all != nil {
		return all, Listed
	}
	return inText(text), InText
}

// bareWord reads a field that is called just "image" as an image without a tag and an owner, such as "nginx". It
// may be a word of the application's own.
func bareWord(text string, start, end int, name string) (mention, bool) {
	image, err := ParseImage(text[start:end])
	if err != nil || !strings.EqualFold(name, "image") || image.Written == placeholder || !plausible(image) {
		return mention{}, false
	}
	return mention{image: image, start: start, end: end, named: true}, true
}

// longer is the name that says more: that of a flag, or of a field that is called an image.
func longer(flag, field string) string {
	if callsImage(field) && !callsImage(flag) {
		return field
	}
	return flag
}

// listed returns the images of a string that has nothing but images, or names and images with "=" between
// them; nil for any other.
func listed(text, name string) []mention {
	var all []mention
	for start := 0; start < len(text); {
		length := strings.IndexAny(text[start:], " \t\r\n,;")
		if length < 0 {
			length = len(text) - start
		}
		if length > 0 {
			found, form := mentionOf(text, start, start+length, name)
			if form == "" {
				return nil
			}
			all = append(all, found)
		}
		start += length + 1
	}
	return all
}

func mentionOf(text string, start, end int, name string) (mention, Form) {
	if m, ok := readMention(text, start, end, name); ok {
		return m, Whole
	}
	if at := strings.LastIndexByte(text[start:end], '='); at > 0 {
		if m, ok := readMention(text, start+at+1, end, longer(text[start:start+at], name)); ok {
			return m, Assigned
		}
	}
	return mention{}, ""
}

// inText returns the images among other words: in YAML, JSON, a script or a sentence.
func inText(text string) []mention {
	var all []mention
	for start := 0; start < len(text); start++ {
		if !inReference(text[start]) {
			continue
		}
		end := start
		for end < len(text) && inReference(text[end]) {
			end++
		}
		whole := end
		for end > start && strings.IndexByte(".:-/@", text[end-1]) >= 0 {
			end--
		}
		if end > start && !isPart(text, start, whole) {
			if m, ok := readMention(text, start, end, nameBefore(text[:start])); ok {
				all = append(all, m)
			}
		}
		start = whole
	}
	return all
}

// inReference reports whether a byte may be in an image.
func inReference(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._:/@-", c) >= 0
}

// isPart reports whether a word is completed by a variable or a template beside it.
func isPart(text string, start, end int) bool {
	return start > 0 && strings.IndexByte("})>*%$", text[start-1]) >= 0 ||
		end < len(text) && strings.IndexByte("{($<*%", text[end]) >= 0
}

// nameBefore is the word before a value: the key, the variable or the flag, as far as one can tell.
func nameBefore(text string) string {
	text = strings.TrimRight(text, " \t\"'`=:")
	start := len(text)
	for start > 0 && (inReference(text[start-1]) || text[start-1] == '_') {
		start--
	}
	return strings.TrimRight(text[start:], ":")
}
