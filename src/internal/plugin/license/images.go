// SPDX-License-Identifier: Apache-2.0

package license

import (
	"fmt"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// ImageChange is a change of what a license opens. Its patterns are those of [v1alpha1.LicenseSpec].
type ImageChange struct {
	// All opens all of the application's images.
	All bool
	// Set are the patterns in place of those that there are; none: these stay.
	Set []string
	// Add and Remove are patterns that come and go after that.
	Add, Remove []string
}

// Empty reports whether the change leaves all as it is.
func (c ImageChange) Empty() bool { return !c.All && len(c.Set)+len(c.Add)+len(c.Remove) == 0 }

// Apply changes what a license opens. A license is never opened to all by the removal of its last pattern, and never
// narrowed by an added one: both have to be said.
func (c ImageChange) Apply(l *v1alpha1.License) error {
	images := slices.Clone(l.Spec.Images)
	switch {
	case c.All:
		images = nil
	case len(c.Set) > 0:
		images = nil
		for _, pattern := range c.Set {
			if !slices.Contains(images, pattern) {
				images = append(images, pattern)
			}
		}
	case len(c.Add) > 0 && len(images) == 0:
		return fmt.Errorf("license %s opens all images of its application, so adding one would take the others away: "+
			"write --image to open nothing but that", l.Name)
	}
	for _, pattern := range c.Remove {
		at := slices.Index(images, pattern)
		if at < 0 {
			return fmt.Errorf("license %s does not have the pattern %q; it has %s", l.Name, pattern, ImagesOf(l))
		}
		images = slices.Delete(images, at, at+1)
	}
	for _, pattern := range c.Add {
		if !slices.Contains(images, pattern) {
			images = append(images, pattern)
		}
	}
	if len(images) == 0 && len(c.Remove) > 0 {
		return fmt.Errorf("license %s would have no pattern left, and then opens all images: "+
			"write --all-images if you mean that, or revoke it", l.Name)
	}
	if len(images) > v1alpha1.MaxImages {
		return fmt.Errorf("license %s would have %d patterns, and may have %d: write fewer, with * and **",
			l.Name, len(images), v1alpha1.MaxImages)
	}
	l.Spec.Images = images
	return nil
}

// CheckImage reports what is wrong with a pattern.
func CheckImage(pattern string) error {
	if _, err := oci.ParseImagePattern(pattern); err != nil {
		return fmt.Errorf("%w: write repository[:tag] such as team/api:v1.*", err)
	}
	return nil
}

// AllImages stands for the patterns of a license that has none.
const AllImages = "all"

// ImagesOf says what a license opens.
func ImagesOf(l *v1alpha1.License) string {
	if len(l.Spec.Images) == 0 {
		return AllImages
	}
	return strings.Join(l.Spec.Images, ", ")
}
