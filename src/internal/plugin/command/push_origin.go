// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Annotations for where an image is from (OCI image-spec 1.1, "Pre-Defined Annotation Keys").
const (
	revisionAnnotation = "org.opencontainers.image.revision"
	sourceAnnotation   = "org.opencontainers.image.source"
)

// gitOrigin asks git where the source is from. The revision ends in "-dirty" where git sees a change, as
// "git describe" and docker buildx write it. There is no time in it: the same source shall be the same image.
func gitOrigin(ctx context.Context, path string) (map[string]string, error) {
	dir, scope := path, "."
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		dir, scope = filepath.Dir(path), ":/" // an archive is made of the whole tree
	}
	commit, err := git(ctx, dir, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return nil, err
	}
	changes, err := git(ctx, dir, "status", "--porcelain", "--untracked-files=normal", "--", scope)
	if err != nil {
		return nil, err
	}
	if changes != "" {
		commit += "-dirty"
	}
	origin := map[string]string{revisionAnnotation: commit}
	if source := publicURL(remoteAddress(ctx, dir)); source != "" {
		origin[sourceAnnotation] = source
	}
	return origin, nil
}

// remoteAddress is the address of the remote that the branch follows, else of "origin", or empty.
// It is taken as it was written: insteadOf, which "git remote get-url" obeys, may add credentials.
func remoteAddress(ctx context.Context, dir string) string {
	name := "origin"
	if branch, err := git(ctx, dir, "symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
		if followed, err := git(ctx, dir, "config", "--get", "branch."+branch+".remote"); err == nil && followed != "." {
			name = followed
		}
	}
	address, err := git(ctx, dir, "config", "--get", "remote."+name+".url")
	if err != nil {
		return ""
	}
	return address
}

// git runs one command of git. It changes nothing, not even the index, and asks no file monitor.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	quiet := []string{"--no-optional-locks", "-c", "core.fsmonitor=false", "-C", dir}
	cmd := exec.CommandContext(ctx, "git", append(quiet, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", errors.New("git is not installed, or not on the PATH")
		}
		return "", fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, strings.TrimSpace(errOut.String()))
	}
	return strings.TrimRight(out.String(), "\r\n"), nil
}

// publicURL is a remote's address without what only its owner should see; empty for a place on this machine.
// The one user that is kept is ssh's "git", which is the same for all.
func publicURL(address string) string {
	short := regexp.MustCompile(`^(?:([^@/:]+)@)?([^@/:]{2,}):([^@/:][^@]*|/[^@/][^@]*)$`) // scp's form
	if scp := short.FindStringSubmatch(address); scp != nil {
		return withoutQuery(gitUser(scp[1]) + scp[2] + ":" + scp[3])
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return ""
	}
	switch parsed.Scheme {
	case "ssh", "git+ssh", "ssh+git":
		if parsed.User.Username() == "git" {
			parsed.User = url.User("git")
			break
		}
		parsed.User = nil
	case "https", "http", "git", "ftp", "ftps":
		parsed.User = nil
	default:
		return ""
	}
	parsed.RawQuery, parsed.ForceQuery, parsed.Fragment, parsed.RawFragment = "", false, "", ""
	return parsed.String()
}

func gitUser(name string) string {
	if name == "git" {
		return "git@"
	}
	return ""
}

func withoutQuery(text string) string {
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		return text[:i]
	}
	return text
}
