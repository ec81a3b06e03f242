// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"testing"

	"sigs.k8s.io/kustomize/api/types"
)

// FuzzKustomization: whatever a user's file is, it is refused or edited, and an edited one needs no second
// edit.
func FuzzKustomization(f *testing.F) {
	for _, seed := range []string{
		"", blank, "resources: [../../base]\nimages: [{name: a, newName: p.example/proxy/app/a}]\n", "images:\nresources:\n", "patches: [{path: x}, y, {path: [z]}]\n",
		"x: &x {name: a}\nimages: [*x, *x]\n", "images: [{name: a, newTag: 1}]\n# end\n", "<<: {images: []}\n", "- a\n", "a: b\n c: d\n", "images: [[a]]\n", "? [a]\n: b\n",
	} {
		f.Add(seed)
	}
	plan := Plan{}
	plan.Proxy.Domain, plan.Proxy.App = "p.example", "app"
	wanted := []types.Image{{Name: "a", NewName: "p.example/proxy/app/a", NewTag: "1.0"}, {Name: "b", NewName: "p.example/proxy/app/b"}}
	edit := func(text []byte) (*kustomization, error) {
		k, err := parseKustomization("x", text)
		if err != nil {
			return nil, err
		}
		k.hold("resources", "../../base", true)
		k.hold("configurations", fieldsFile, false)
		k.holdPatch(patchesFile, true)
		k.setImages(wanted, plan.ours)
		return k, nil
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := edit([]byte(text))
		if err != nil {
			return
		}
		edited, err := once.bytes()
		if err != nil {
			return
		}
		twice, err := edit(edited)
		if err != nil {
			t.Fatalf("%v\n%q became\n%s", err, text, edited)
		}
		if twice.changed {
			again, err := twice.bytes()
			t.Fatalf("%q became\n%s\nand then %v\n%s", text, edited, err, again)
		}
	})
}
