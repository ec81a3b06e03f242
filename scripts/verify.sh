#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Checks everything that needs no running program. All checks run; the failed ones are named at the end.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

check_format() {
	local list
	list=$(files '*.go' | xargs -r gofmt -l)
	[[ -z $list ]] || { printf 'not formatted (gofmt -w FILE):\n%s\n' "$list" && return 1; }
}

check_vet() {
	local module bad=0
	while IFS= read -r module; do
		go -C "$module" vet ./... || bad=1
	done < <(code_modules)
	return "$bad"
}

check_lint() {
	scripts/lint.sh
}

check_shell() {
	shell_files | xargs -r shellcheck --external-sources
}

check_modules() {
	local module bad=0
	while IFS= read -r module; do
		go -C "$module" mod tidy -diff >"$work/tidy" 2>&1 ||
			{ head -n 20 "$work/tidy" && echo "$module/go.mod: run go mod tidy there" && bad=1; }
	done < <(modules)
	return "$bad"
}

# Data for tests is what it is: golden files and fuzz corpora carry no line of ours.
check_licence_lines() {
	local file bad=0
	while IFS= read -r file; do
		head -n 4 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
			{ echo "$file: no line SPDX-License-Identifier: Apache-2.0 in the first four" && bad=1; }
	done < <({ files '*.go' '*.yml' '*.yaml' '*.star' '*Makefile' '*Dockerfile' && shell_files; } | grep -v '/testdata/' | sort -u)
	return "$bad"
}

check_layout() {
	local name bad=0
	while IFS= read -r name; do
		case $name in
		.*) ;;
		bundle | config | src | package-repository | scripts | tests) ;;
		go.mod | go.sum | Makefile | README.md | LICENSE | CHANGELOG.md | CONTRIBUTING.md) ;;
		*) echo "$name: nothing else belongs at the top" && bad=1 ;;
		esac
	done < <(files | cut -d/ -f1 | sort -u)
	return "$bad"
}

check_repository() {
	go -C tests test -count=1 ./repository
}

# scripts/generate.sh writes every generated file. It runs in a copy, so that a check changes nothing.
check_generated() {
	local copy=$work/copy bad=0
	mkdir "$copy"
	files | tar -cf - -T - | tar -xf - -C "$copy"
	cp -r "$copy" "$work/before"
	git init -q "$copy" # the scripts ask git which files there are
	(cd "$copy" && scripts/generate.sh) || return 1
	diff -ru --exclude=.git --exclude=bin --exclude=dist "$work/before" "$copy" || bad=1
	[[ $bad -eq 0 ]] || echo "generated files are stale: run scripts/generate.sh"
	return "$bad"
}

failed=()
left_out=()
# check NAME FUNCTION: runs one check. Each gets a shell of its own, in which errors count.
check() {
	local started=$SECONDS
	say "$1"
	set +e
	(set -e && "$2")
	local code=$?
	set -e
	[[ $code -eq 0 ]] || failed+=("$1")
	[[ $((SECONDS - started)) -lt 3 ]] || echo "   $((SECONDS - started)) s"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check 'format' check_format
check 'go vet' check_vet
check 'lint' check_lint
if scripts/debian.sh shellcheck || command -v shellcheck >/dev/null; then
	check 'shell scripts' check_shell
elif [[ ${CI:-} == true ]]; then
	failed+=('shell scripts (shellcheck is missing)')
else
	left_out+=('shell scripts (shellcheck is missing)')
fi
check 'modules are tidy' check_modules
check 'licence lines' check_licence_lines
check 'top-level layout' check_layout
check 'modules, updates, workflows, security policy' check_repository
[[ ! -e scripts/generate.sh ]] || check 'generated files' check_generated

[[ ${#left_out[@]} -eq 0 ]] || echo "verify: left out: $(printf '%s; ' "${left_out[@]}" | sed 's/; $//')"
if [[ ${#failed[@]} -gt 0 ]]; then
	echo "verify: failed after $SECONDS s: $(printf '%s; ' "${failed[@]}" | sed 's/; $//')" >&2
	exit 1
fi
echo "verify: all good, $SECONDS s"
