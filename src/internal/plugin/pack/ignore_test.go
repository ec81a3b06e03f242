// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kept are the files that this package leaves in a tree, in order.
func kept(t *testing.T, root string) []string {
	t.Helper()
	src, err := openDir(root)
	if err != nil {
		t.Fatal(err)
	}
	entries, _, err := list(t.Context(), src, root, Options{ExcludeFile: DefaultExcludeFile, ExcludeFileOptional: true})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		if e.kind != directory {
			files = append(files, e.path)
		}
	}
	return sorted(files)
}

// git makes the parent of many trees a repository.
func gitRepository(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git, which this package is compared with, is not installed")
	}
	root := t.TempDir()
	runGit(t, program, root, "init", "--quiet")
	return root
}

func runGit(t *testing.T, program, root string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-C", root, "-c", "core.ignorecase=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}

// gitKeeps are the files that git leaves in each directory of a repository.
func gitKeeps(t *testing.T, root string) map[string][]string {
	t.Helper()
	kept := map[string][]string{}
	list := runGit(t, "git", root, "ls-files", "--others", "-z", "--exclude-per-directory="+DefaultExcludeFile)
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		tree, file, _ := strings.Cut(name, "/")
		kept[tree] = append(kept[tree], file)
	}
	for _, files := range kept {
		slices.Sort(files)
	}
	return kept
}

// gitDiffers is where git before 2.52 deviates from its own page: "a**/b" matched "ab" there, as if the stars
// stood alone.
func gitDiffers(patterns string) bool {
	return regexp.MustCompile(`(?m)^!?[^*?\[\\\n]*[^/*?\[\\\n!]\*\*`).MatchString(patterns)
}

// TestIgnoreAsGit holds a table of what people write, and what was wrong once, against git.
func TestIgnoreAsGit(t *testing.T) {
	tree := []string{
		"app.go", "app.log", "main.js", "config/secret.key", "config/app.yml", "lib/util.go", "lib/util.js", "lib/deep/x.go", "1.dat", "x.dat",
		"target/app.jar", "target/classes/A.class", "target/classes/lib.jar", "build", "src/build/out", "src/Build/out", "sp ace ", "sp ace",
		"#hash", "!bang", "a/b/c", "a/x/y/c", "ab", "back\\slash", "[x]", "logs/keep.log", "logs/old/a.log", "dir/tmp/x", "tmp", "ünïcode", "-",
		"tab\t", "doc/a.md", "doc/sub/a.md",
	}
	tests := []string{
		"*.key\n!config/\n", "*\n!*/\n!*.go\n", "[!0-9].dat\n", "[^0-9].dat", "target/**\n!target/*.jar\n", "target/\n!target/app.jar\n",
		"target/*\n!target/classes/\n", "build/\n", "/build\n", "build\n", "sp ace \n", "sp ace\\ \n", "sp ace\\  \n", "\\#hash\n", "#hash\n", "\\!bang\n",
		"!bang\n", "a/**/c\n", "a/*/c\n", "**/c\n", "**/\n", "**\n", "a/**\n", "**/build/**\n", "logs/**\n!keep.log\n", "*.log\n!keep.log\n", "*.log\r\n\r\n# x\r\ntmp\r\n",
		"\ufefftmp\n*.go", "tmp/\n", "/tmp/\n", "back\\\\slash\n", "back\\slash\n", "\\[x\\]\n", "[x]\n", "[[]x[]]\n", "[[:alpha:]].dat\n", "[[:digit:]-z].dat\n", "[]-]\n", "[a\n", "[\n",
		"[a-\n", "[[:bad:]]\n", "[[:]\n", "a?\n", "?/b/c\n", "a*b\n", "*a*\n", "doc/*.md\n", "doc/**/*.md\n", "/*.md\n", "\\\n", "/\n", "//\n", "!\n", " \n", "  tmp\n", "tab\t\n", "/*\n!/lib\n",
		"/*\n!/lib/\n/lib/*\n!/lib/deep/\n", "src/build/\n", "./tmp\n", "../tmp\n", "a//b\n", "/a/\n!/a/b/c\n", "ünïcode\n", "?nïcode\n", "??nïcode\n", "u*code\n", "*\n!\\!bang\n", "foo\\/\n", "**\\/c\n", "*/c\n", "[/]\n", "a[/]b\n",
		"lib/*\n!lib/util.*\nlib/*.js\n", "***/c\n", "a/***/c\n", "Build\n", "**/*.go\n!lib/**\n",
	}
	repository := gitRepository(t)
	for i, patterns := range tests {
		root := filepath.Join(repository, fmt.Sprint(i))
		for _, name := range tree {
			writeTree(t, root, map[string]string{name: ""})
		}
		writeTree(t, root, map[string]string{DefaultExcludeFile: patterns})
	}
	want := gitKeeps(t, repository)
	for i, patterns := range tests {
		if gitDiffers(patterns) {
			t.Errorf("%q cannot be compared", patterns)
		}
		if diff := cmp.Diff(want[fmt.Sprint(i)], kept(t, filepath.Join(repository, fmt.Sprint(i)))); diff != "" {
			t.Errorf("%q (-git +ours):\n%s", patterns, diff)
		}
	}
}

// randomTree makes trees and ignore files of few letters, so that many patterns match something.
type randomTree struct{ *rand.Rand }

func (r randomTree) pick(of ...string) string { return of[r.IntN(len(of))] }

func (r randomTree) name() string {
	return r.pick("a", "b", "ab", "ba", "aab", "A", "a.go", "b.go", "a b", "a ", "#a", "!a", "[a]", "a-b", "0", "7", "é", "*", "a\\b", "]", "^")
}

func (r randomTree) patterns() string {
	var text strings.Builder
	for range r.IntN(5) {
		line := r.pick("", "", "", "!", "!", "/", "!/", "\\")
		for range 1 + r.IntN(4) {
			line += r.pick("a", "b", "ab", "*", "*", "**", "/", "/", "**/", "/**", "?", "*.go", "[ab]", "[!a]", "[^b]", "[a-", "]", "[[:alnum:]]", "[0-9]",
				"\\", "\\ ", " ", "-", "é", "\\*", r.name())
		}
		text.WriteString(line + r.pick("", "", "", "/", " ", "\r", "\t") + "\n")
	}
	return text.String()
}

// write makes one tree, some of its directories with an ignore file.
func (r randomTree) write(t *testing.T, root string) (said string) {
	t.Helper()
	dirs := []string{"."}
	for range 12 {
		name := filepath.Join(r.pick(dirs...), r.name())
		full := filepath.Join(root, name)
		if _, err := os.Lstat(full); err == nil {
			continue
		}
		if r.IntN(2) == 0 {
			dirs = append(dirs, name)
			full = filepath.Join(full, "x"+r.name())
		}
		writeTree(t, root, map[string]string{strings.TrimPrefix(full, root): ""})
	}
	for i, dir := range dirs {
		if i > 0 && r.IntN(4) > 0 {
			continue
		}
		patterns := r.patterns()
		for gitDiffers(patterns) {
			patterns = r.patterns()
		}
		writeTree(t, root, map[string]string{filepath.Join(dir, DefaultExcludeFile): patterns})
		said += fmt.Sprintf("%s: %q\n", dir, patterns)
	}
	return said
}

// TestIgnoreAsGitAtRandom compares many trees and patterns with git. The seed is fixed: a run repeats the
// last.
func TestIgnoreAsGitAtRandom(t *testing.T) {
	repository := gitRepository(t)
	var said []string
	for i := range 400 {
		r := randomTree{rand.New(rand.NewPCG(uint64(i), 16))}
		said = append(said, r.write(t, filepath.Join(repository, fmt.Sprint(i))))
	}
	want := gitKeeps(t, repository)
	for i := range said {
		if diff := cmp.Diff(want[fmt.Sprint(i)], kept(t, filepath.Join(repository, fmt.Sprint(i)))); diff != "" {
			t.Errorf("tree %d (-git +ours):\n%s%s", i, said[i], diff)
		}
	}
}

// FuzzIgnoreAsGit lets the fuzzer write the ignore file of a random tree.
func FuzzIgnoreAsGit(f *testing.F) {
	f.Add([]byte("*.key\n!config/\n"), uint64(1))
	f.Add([]byte("a/**/[!b-\\]]\n!/a\\ \r\n"), uint64(2))
	f.Fuzz(func(t *testing.T, patterns []byte, seed uint64) {
		if _, err := parseIgnore(patterns); err != nil || gitDiffers(string(patterns)) {
			t.Skip("refused here, or differs between versions of git")
		}
		repository := gitRepository(t)
		root := filepath.Join(repository, "tree")
		said := randomTree{rand.New(rand.NewPCG(seed, 16))}.write(t, root)
		if err := os.WriteFile(filepath.Join(root, DefaultExcludeFile), patterns, 0o600); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(gitKeeps(t, repository)["tree"], kept(t, root)); diff != "" {
			t.Errorf("%q (-git +ours):\n%s%s", patterns, said, diff)
		}
	})
}

// A pattern of many stars costs a moment, not longer than tests may take.
func TestWildmatchIsPolynomial(t *testing.T) {
	if wildmatch(strings.Repeat("**/a*", 100)+"b", strings.Repeat("a/a", 300), true) || wildmatch(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 2000), false) {
		t.Error("it matches")
	}
}
