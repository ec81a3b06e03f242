# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts share. Sourced, never run. Sets $root, the repository's top directory.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# say TEXT…: one line of narration.
say() {
	echo "== $*"
}

# fail TEXT…: one line on stderr, exit 1.
fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# files [PATHSPEC…]: the repository's files, those not yet added included, those deleted but not yet committed excluded.
files() {
	local file
	git -C "$root" ls-files --cached --others --exclude-standard -- "$@" | sort -u | while IFS= read -r file; do
		[[ ! -f $root/$file ]] || echo "$file"
	done
}

# modules: the directories of the Go modules, relative to $root.
modules() {
	files go.mod '*/go.mod' | while IFS= read -r file; do dirname "$file"; done
}

# code_modules: those of them that hold Go code of ours; the others only pin tools.
code_modules() {
	local module
	modules | grep -v '^scripts/tools' | while IFS= read -r module; do
		[[ -z $(files "$module/*.go" | head -n 1) ]] || echo "$module"
	done
}

# shell_files: everything that bash reads.
shell_files() {
	files | while IFS= read -r file; do
		case ${file##*/} in
		*.sh) echo "$file" ;;
		*.*) ;;
		*) ! head -n 1 "$root/$file" | grep -qE '^#!.*\bbash\b' || echo "$file" ;;
		esac
	done
}

# http_status METHOD HOST:PORT PATH: the status of one plain HTTP request, 000 when nobody answers. (No curl is needed.)
http_status() {
	local line=''
	{
		exec 3<>"/dev/tcp/${2%:*}/${2##*:}"
		printf '%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "$1" "$3" "$2" >&3
		read -r -t 10 line <&3
		exec 3<&- 3>&-
	} 2>/dev/null || true
	[[ $line =~ ^HTTP/1\.[01]\ ([0-9]{3}) ]] && echo "${BASH_REMATCH[1]}" || echo 000
}

# imgpkg_flags: sets $imgpkg_flags for a registry with PLAIN_HTTP, or with the CA in CA_CERT_FILE.
imgpkg_flags() {
	imgpkg_flags=()
	[[ ${PLAIN_HTTP:-} != true ]] || imgpkg_flags+=(--registry-insecure)
	[[ -z ${CA_CERT_FILE:-} ]] || imgpkg_flags+=(--registry-ca-cert-path "$CA_CERT_FILE")
}

# A semantic version without build metadata, as a regular expression.
# shellcheck disable=SC2034 # for those that source this
semantic_version='[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?'

# check_version VERSION: ends with exit code 2 when it is none.
check_version() {
	[[ $1 =~ ^$semantic_version$ ]] ||
		{ echo "${0##*/}: VERSION \"$1\" is not a semantic version without build metadata: write 0.3.0 or 0.3.0-rc.1" >&2; exit 2; }
}

# built_from LENGTH: this commit, in so many digits, and whether the tree differs from it.
built_from() {
	local commit
	commit=$(git -C "$root" rev-parse --short="$1" HEAD) || return
	git -C "$root" diff --quiet HEAD -- || commit+=-dirty
	echo "$commit"
}

# release_platforms: those that a release has programs for.
release_platforms() { sed -n 's/^ *sha256: SHA256-//p' "$root/src/cmd/kubectl-lsp/krew.yaml" | xargs; }

# release_notes: the section of CHANGELOG.md for VERSION, or else what is not released yet.
release_notes() {
	local heading notes
	for heading in "${VERSION//./\\.}" Unreleased; do
		notes=$(awk -v heading="^## \\\\[?$heading\\\\]?( |\$)" 'found && /^## / {exit} found {print} $0 ~ heading {found = 1}' "$root/CHANGELOG.md" |
			sed -e '/./,$!d')
		[[ -z $notes ]] || { echo "$notes"; return; }
	done
}

# versions_in REPOSITORY DIR: pulls a package repository's bundle into DIR and prints the versions that it has, but for VERSION.
versions_in() {
	imgpkg_flags
	"$root/scripts/tool" imgpkg pull -b "$1" -o "$2" "${imgpkg_flags[@]}" >"$2.log" 2>&1 || { cat "$2.log" >&2; fail "$1 cannot be read"; }
	find "$2/packages/local-source-proxy.apps.tanzu.vmware.com" -name '*.yml' ! -name metadata.yml ! -name "$VERSION.yml" -printf '%f\n' |
		sed 's/\.yml$//' | in_order
}

# in_order: versions on stdin, sorted. A pre-release comes before its release.
in_order() { tr - '~' | sort -V | tr '~' -; }
