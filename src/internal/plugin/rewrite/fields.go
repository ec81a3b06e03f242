// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Form is how an image stands in a string.
type Form string

// The forms of a [Field].
const (
	// Whole is the image and nothing else.
	Whole Form = "whole"
	// Assigned is one image behind "=".
	Assigned Form = "assigned"
	// Listed is nothing but images of these two forms.
	Listed Form = "list"
	// InText is an image among other words, or in a list in a ConfigMap, which is a file.
	InText Form = "text"
	// Split is a repository whose tag is in another field.
	Split Form = "split"
)

// Field is a string outside of containers with images in it.
type Field struct {
	Kind, Namespace, Name string
	// Path is where it is, as in spec.args[0] or data[config.yaml].
	Path string
	Form Form

	object   objectID
	steps    steps
	value    string
	mentions []mention
	named    bool // by --image-field
	kept     bool // by --keep-field
}

// String is how a Field is called in messages.
func (f Field) String() string { return describe(f.Kind, f.Namespace, f.Name) + ": " + f.Path }

// flag is what --image-field and --keep-field say for it.
func (f Field) flag() string { return f.Kind + ":" + f.Path }

// FieldOptions say what the user knows better.
type FieldOptions struct {
	// Image are fields that are images, Keep are fields that stay as they are.
	Image, Keep []FieldSelector
}

// UnsureImage is one of a string that need not be an image.
type UnsureImage struct {
	Image
	// Named says that the string is called an image.
	Named bool
}

// FindFields finds the images outside of containers. Those that are images for certain are added to Images,
// the others are Unsure. It returns the selectors that select nothing.
func (b *Base) FindFields(options FieldOptions) (unused []FieldSelector) {
	b.Fields, b.Unsure, b.keep = nil, nil, options.Keep
	b.collectImages()
	used := map[string]bool{}
	walkStrings(b.objects, func(p place) {
		field := Field{
			Kind: p.object.Kind, Namespace: p.object.Namespace, Name: p.object.Name,
			object: p.object, value: p.node.Value,
			kept: selects(options.Keep, p, used), named: selects(options.Image, p, used),
		}
		found := field.read(p)
		if !found && !field.named {
			return
		}
		field.steps = slices.Clone(p.steps)
		field.Path = field.steps.String()
		if found {
			b.Fields = append(b.Fields, field)
		} else {
			b.NotImages = append(b.NotImages, NotImage{field.String(), field.value})
		}
	})
	b.decide()
	for _, selector := range slices.Concat(options.Image, options.Keep) {
		if !used[selector.text] {
			unused = append(unused, selector)
		}
	}
	return unused
}

// read finds the images in the string.
func (f *Field) read(p place) bool {
	if f.named {
		f.mentions, f.Form = mentions(f.value, "image")
		for i := range f.mentions {
			f.mentions[i].sure = true
		}
		return len(f.mentions) > 0
	}
	if composed, ok := splitImage(p); ok {
		f.mentions, f.Form = []mention{composed}, Split
		return true
	}
	f.mentions, f.Form = mentions(f.value, p.name)
	if f.Form == Listed && p.inData() {
		f.Form = InText
	}
	return len(f.mentions) > 0
}

// decide tells the mentions that are images for certain from others, and drops those that are none.
func (b *Base) decide() {
	known := newRegistries(b.Images)
	for _, field := range b.Fields {
		for _, m := range field.mentions {
			if m.sure || m.named && m.image.Host != "" && field.Form != Split {
				known.add(m.image)
			}
		}
	}
	unsure := map[string]bool{}
	fields := b.Fields[:0]
	for _, field := range b.Fields {
		field.mentions = slices.DeleteFunc(field.mentions, func(m mention) bool { return !known.mayBe(m) })
		for i, m := range field.mentions {
			m.sure = m.sure || known.has(m)
			if field.mentions[i] = m; m.sure {
				b.Images = append(b.Images, m.image)
			} else {
				unsure[m.image.Written] = unsure[m.image.Written] || m.named
			}
		}
		if len(field.mentions) > 0 {
			fields = append(fields, field)
		}
	}
	b.Fields = fields
	b.sortImages()
	for _, image := range b.Images {
		delete(unsure, image.Written)
	}
	for _, field := range b.Fields {
		for _, m := range field.mentions {
			if named, is := unsure[m.image.Written]; is {
				b.Unsure = append(b.Unsure, UnsureImage{m.image, named})
				delete(unsure, m.image.Written)
			}
		}
	}
	slices.SortFunc(b.Unsure, func(x, y UnsureImage) int { return strings.Compare(x.Written, y.Written) })
}

// registries are those concerned: what the images come from that are images for certain.
type registries struct{ repositories, hosts map[string]bool }

func newRegistries(images []Image) registries {
	r := registries{map[string]bool{}, map[string]bool{}}
	for _, image := range images {
		r.repositories[image.Repository] = true
		r.add(image)
	}
	return r
}

// add adds where an image comes from. Of Docker Hub that is the image's owner: everybody is there.
func (r registries) add(image Image) { r.hosts[owner(image)] = true }

func owner(image Image) string {
	host, path, _ := strings.Cut(image.Repository, "/")
	if host != name.DefaultRegistry {
		return host
	}
	first, _, _ := strings.Cut(path, "/")
	return host + "/" + first
}

// has reports whether a mention is an image for certain: of a repository that is known, or of a registry
// concerned. A name without a slash might be a host with a port.
func (r registries) has(m mention) bool {
	if !strings.Contains(m.image.Name, "/") {
		return m.named && r.repositories[m.image.Repository]
	}
	return r.repositories[m.image.Repository] || r.hosts[owner(m.image)] && !strings.HasPrefix(owner(m.image), name.DefaultRegistry+"/library")
}

// mayBe reports whether a mention is worth a question.
func (r registries) mayBe(m mention) bool {
	return m.sure || m.named || m.image.Host != "" || r.has(m)
}
