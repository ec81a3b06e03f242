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
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// Annotations for where an image is from (OCI image-spec 1.1, "Pre-Defined Annotation Keys").
const (
	revisionAnnotation = "org.opencontainers.image.revision"
	sourceAnnotation   = "org.opencontainers.image.source"
)

// gitOrigin asks git where the source is from. The revision ends in "-dirty" where git sees a change, as
// "git describe" and docker buildx write it. There is no time in it: the same source shall be the same image.
func gitOrigin(ctx context.Context, path string) (map[string]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	dir, scope := path, "."
	if !info.IsDir() {
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
	cmd.Env = append(withoutRepository(os.Environ()), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	err := cmd.Run()
	switch {
	case err == nil:
		return strings.TrimRight(out.String(), "\r\n"), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("git is not installed, or not on the PATH")
	default:
		return "", gitError(dir, args[0], errOut.String(), err)
	}
}

// withoutRepository takes out of an environment what would say which repository or files are meant, in place of
// the source's directory: a hook of git inherits it. "git rev-parse --local-env-vars" has most of the names.
func withoutRepository(environment []string) []string {
	return slices.DeleteFunc(environment, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains([]string{
			"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_DIR", "GIT_GRAFT_FILE",
			"GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE",
			"GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE",
			"GIT_SHALLOW_FILE", "GIT_WORK_TREE",
			"GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_LITERAL_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
		}, name)
	})
}

// gitError says in one line what git means, and what to do where that is known.
func gitError(dir, command, said string, err error) error {
	switch {
	case strings.Contains(said, "not a git repository"):
		return fmt.Errorf("%s is not a git repository: leave --origin out, or push from a clone", dir)
	case strings.Contains(said, "Needed a single revision"):
		return fmt.Errorf("the git repository of %s has no commit yet: commit, or leave --origin out", dir)
	case strings.Contains(said, "dubious ownership"):
		remedy := "git config --global --add safe.directory " + dir
		if i := strings.LastIndex(said, "git config"); i >= 0 { // git names the repository's own directory
			remedy = apiserver.OneLine(said[i:])
		}
		return fmt.Errorf("another user owns %s, and git does not read it: run %s", dir, remedy)
	}
	for line := range strings.Lines(said) {
		if reason, fatal := strings.CutPrefix(line, "fatal: "); fatal {
			return fmt.Errorf("git %s in %s: %s", command, dir, strings.TrimSpace(reason))
		}
	}
	return fmt.Errorf("git %s in %s: %w", command, dir, err)
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
