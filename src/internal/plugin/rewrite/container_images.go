// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"slices"
	"strings"
)

// NotImage is what stands in place of an image, and has no registry to be asked or renamed.
type NotImage struct{ Owner, Written string }

// placeholder is what Istio replaces when a Pod is made.
const placeholder = "auto"

// collectImages fills in Images and NotImages from all containers.
func (b *Base) collectImages() {
	b.Images, b.NotImages = nil, nil
	for _, pod := range b.Pods {
		b.addImages(pod.String(), pod.Images)
	}
	for _, stranger := range b.Strangers {
		b.addImages(stranger.String(), stranger.Images)
	}
	b.sortImages()
	b.inContainers = slices.Clone(b.Images)
}

func (b *Base) addImages(owner string, images []string) {
	for _, written := range images {
		image, err := ParseImage(written)
		if err != nil || written == placeholder {
			b.NotImages = append(b.NotImages, NotImage{owner, written})
			continue
		}
		b.Images = append(b.Images, image)
	}
}

func (b *Base) sortImages() {
	slices.SortFunc(b.Images, func(x, y Image) int { return strings.Compare(x.Written, y.Written) })
	b.Images = slices.CompactFunc(b.Images, func(x, y Image) bool { return x.Written == y.Written })
}
