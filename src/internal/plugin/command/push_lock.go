// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/natefinch/atomic"
	"sigs.k8s.io/yaml"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
)

// imagesLock is what imgpkg writes for images that are no bundles ("imgpkg copy -i ... --lock-output"), and
// what "imgpkg copy --lock" and kbld read.
type imagesLock struct {
	APIVersion string        `json:"apiVersion"`
	Images     []lockedImage `json:"images"`
	Kind       string        `json:"kind"`
}

type lockedImage struct {
	Image string `json:"image"`
}

// checkLockFile finds out ahead of a push what would keep the lock from being written.
func checkLockFile(file string) error {
	if file == "" {
		return nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fmt.Errorf("--lock-output %s: it is a directory; name a file", file)
	}
	try, err := os.CreateTemp(filepath.Dir(file), ".lock-*")
	if err != nil {
		return fmt.Errorf("--lock-output %s: %w", file, err)
	}
	return errors.Join(try.Close(), os.Remove(try.Name()))
}

// writeLock names the image in the operator's repository, which is its name for whoever may pull from there.
func writeLock(file string, result push.Result) error {
	if file == "" {
		return nil
	}
	image, err := name.NewDigest(result.Repository + "@" + result.Digest)
	if err != nil {
		return fmt.Errorf("--lock-output %s: the proxy names no repository: %w", file, err)
	}
	raw, err := yaml.Marshal(imagesLock{"imgpkg.carvel.dev/v1alpha1", []lockedImage{{image.Name()}}, "ImagesLock"})
	if err != nil {
		return fmt.Errorf("--lock-output %s: %w", file, err)
	}
	// With imgpkg's mode, 0600; a lock that is there stays until this one is whole.
	if err := atomic.WriteFile(file, bytes.NewReader(append([]byte("---\n"), raw...))); err != nil {
		return fmt.Errorf("--lock-output: the image is pushed, its lock could not be written: %w", err)
	}
	return nil
}
