#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes what is generated from the values schema and from the image proxy's types, and is committed so that it can be read and reviewed:
#
#   bundle/openapi.yml                              the package's values as OpenAPI, which the Package carries
#   package-repository/ootb-profiles/openapi.yml    the profile's
#   config/README.md                                the table of values, between its two markers
#   src/internal/license/v1alpha1/zz_generated.deepcopy.go   what the API machinery needs of the image proxy's objects
#   config/crd-{licenses,externalregistries}.yml    their CustomResourceDefinitions
#
# The reference pages are written from the code that they describe (src/internal/reference says how):
#
#   src/cmd/*/commands.md          the commands and flags of both programs
#   config/custom-resources.md     the fields of the custom resources
#   bundle/errors.md               the errors that clients get
#   bundle/logs.md                 the lines of the log and their keys
#   bundle/operating.md            the table of metrics, between its two markers
#
# scripts/generate.sh           write
# scripts/generate.sh --check   write nothing; show what differs, and exit 1 if anything does
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
[[ $# == 0 || $* == --check ]] || { echo "usage: scripts/generate.sh [--check]" >&2; exit 2; }
check=${1:-}
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
ytt() { scripts/tool ytt "$@"; }

header='# SPDX-License-Identifier: Apache-2.0
# Written by scripts/generate.sh from config/values-schema.yml.
'
{
	echo "$header"
	ytt -f config --data-values-schema-inspect -o openapi-v3
} >"$new/openapi.yml"

{
	echo "$header"
	ytt -f package-repository/ootb-profiles/config/_ytt_lib/platform-values/values-schema.yml --data-values-schema-inspect -o openapi-v3 |
		ytt -f - -f scripts/generate/profile-openapi.yml -f "$new/openapi.yml" --file-mark openapi.yml:type=data
} >"$new/profile-openapi.yml"

ytt -f scripts/generate/values.txt -f scripts/generate/values.star -f "$new/openapi.yml" --file-mark openapi.yml:type=data \
	--output-files "$new/table" >/dev/null
awk -v table="$new/table/values.txt" '
	/^<!-- values: end -->/ {skip = 0}
	!skip {print}
	/^<!-- values: begin/ {skip = 1; print ""; while ((getline line <table) > 0) if (line != "") print line; print ""}
' config/README.md >"$new/README.md"

scripts/tool controller-gen object:headerFile=scripts/generate/header.txt paths=./src/internal/license/v1alpha1 "output:dir=$new"

mkdir "$new/crd"
scripts/tool controller-gen crd paths=./src/internal/license/v1alpha1 "output:dir=$new/crd"
ytt -f "$new/crd" -f scripts/generate/crd.yml --output-files "$new/crd" >/dev/null
# definition PLURAL: the template that installs it.
definition() {
	cat <<-'END'
		#! SPDX-License-Identifier: Apache-2.0
		#! Written by scripts/generate.sh from src/internal/license/v1alpha1.

		#@ load("@ytt:data", "data")

		#@ if/end data.values.image_proxy.enabled and data.values.image_proxy.create_crds:
		---
	END
	cat "$new/crd/imageproxy.apps.tanzu.vmware.com_$1.yaml"
}

status=0
# place FILE DESTINATION: writes it, or compares.
place() {
	if [[ -z $check ]]; then
		install -m 0644 "$1" "$2"
	elif ! diff -u --label "$2" --label "$2, as generated" "$2" "$1"; then
		echo "$2 is out of date: run scripts/generate.sh" >&2
		status=1
	fi
}
place "$new/openapi.yml" bundle/openapi.yml
place "$new/profile-openapi.yml" package-repository/ootb-profiles/openapi.yml
place "$new/README.md" config/README.md
place "$new/zz_generated.deepcopy.go" src/internal/license/v1alpha1/zz_generated.deepcopy.go
for plural in licenses externalregistries; do
	definition "$plural" >"$new/crd-$plural.yml"
	place "$new/crd-$plural.yml" "config/crd-$plural.yml"
done
go run ./src/internal/reference pages "$new/pages" .
while IFS= read -r page; do
	place "$new/pages/$page" "$page"
done < <(cd "$new/pages" && find . -type f -printf '%P\n' | sort)
# The metrics are known to a server that has had something to do, as their test makes it.
update=(-update)
[[ -z $check ]] || update=()
go test ./src/internal/httpserver/metrics -run '^(TestSeries|TestMetricsAreDocumented)$' "${update[@]}" >"$new/metrics" ||
	{ cat "$new/metrics" >&2 && status=1; }
exit $status
