#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs a release of Local Source Proxy. It needs a shell, tar, gzip, sha256sum or shasum, and curl or wget for what is not here.
#
#   sh install.sh [--program kubectl-lsp|local-source-proxy|all] [--to DIR] [--from URL|DIR]
#
#   --program   what to install; the kubectl plugin by default
#   --to        where; by default /usr/local/bin for root, ~/.local/bin for others
#   --from      where the release's files are, a URL or a directory; by default the release of this version on GitHub
#
# Each file is compared with its checksum before anything is installed, and the list of checksums with the digest below. So who
# trusts this file trusts what it installs. install.sh.bundle is its signature, for cosign verify-blob.
set -eu

# Both are written by scripts/release.sh.
version=
checksums=

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

usage() {
	echo "install.sh: $*" >&2
	echo "usage: sh install.sh [--program kubectl-lsp|local-source-proxy|all] [--to DIR] [--from URL|DIR]" >&2
	exit 2
}

program=kubectl-lsp to='' from=''
while [ $# -gt 0 ]; do
	case $1 in
	--program | --to | --from)
		[ $# -ge 2 ] || usage "$1 needs a value"
		case $1 in
		--program) program=$2 ;;
		--to) to=$2 ;;
		--from) from=${2%/} ;;
		esac
		shift 2
		;;
	-h | --help)
		sed -n 's/^# \{0,1\}//; 4,14p' "$0"
		exit
		;;
	*) usage "$1 is not known" ;;
	esac
done
[ -n "$checksums" ] || fail "this is the installer's source: take install.sh from a release"
case $program in
all) programs="kubectl-lsp local-source-proxy" ;;
kubectl-lsp | local-source-proxy) programs=$program ;;
*) usage "--program $program: kubectl-lsp, local-source-proxy or all" ;;
esac
[ -n "$from" ] || from=https://github.com/local-source-proxy/local-source-proxy/releases/download/v$version
if [ -z "$to" ]; then
	if [ "$(id -u)" -eq 0 ]; then to=/usr/local/bin; else to=$HOME/.local/bin; fi
fi

case $(uname -s) in
Linux) os=linux ;;
Darwin) os=darwin ;;
*) fail "there is no installer for $(uname -s): take the archive from $from" ;;
esac
case $(uname -m) in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) fail "there is no program for $(uname -m)" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# fetch FILE: takes a file of the release into $work.
fetch() {
	case $from in
	http://* | https://*)
		if command -v curl >/dev/null 2>&1; then
			curl -fsSL --retry 3 -o "$work/$1" "$from/$1" || fail "$from/$1 cannot be downloaded"
		elif command -v wget >/dev/null 2>&1; then
			wget -q -O "$work/$1" "$from/$1" || fail "$from/$1 cannot be downloaded"
		else
			fail "install curl or wget, or name a directory with --from"
		fi
		;;
	*) cp "$from/$1" "$work/$1" 2>/dev/null || fail "$from/$1 cannot be read" ;;
	esac
}

# digest FILE: its SHA-256 in hex.
digest() {
	if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d' ' -f1
}

# compare FILE DIGEST
compare() {
	[ "$(digest "$work/$1")" = "$2" ] ||
		fail "$1 is not the release's: its SHA-256 is $(digest "$work/$1"), and not $2. Nothing was installed"
}

fetch checksums.txt
compare checksums.txt "$checksums"
for program in $programs; do
	archive=$program-$os-$arch.tar.gz
	want=$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p" "$work/checksums.txt")
	[ -n "$want" ] || fail "the release has no $archive"
	fetch "$archive"
	compare "$archive" "$want"
	mkdir "$work/$program"
	tar -C "$work/$program" -xzf "$work/$archive"
done
mkdir -p "$to" || fail "the directory $to cannot be made: name another with --to"
for program in $programs; do
	# Whoever runs the old one meanwhile has one of the two, whole.
	{ cp "$work/$program/$program" "$to/.$program.new" && chmod 0755 "$to/.$program.new" && mv "$to/.$program.new" "$to/$program"; } ||
		fail "$to/$program cannot be written: name another directory with --to"
	echo "installed $to/$program, version $version"
done
case :$PATH: in
*:"$to":*) ;;
*) echo "$to is not in PATH" ;;
esac
