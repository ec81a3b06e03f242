#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Pushes the base of the server image to a repository and prints its reference by digest: scripts/base-image.sh LAYER REPOSITORY
#
# LAYER is the tar file of scripts/baseimage. The base is an index of one image a platform; they differ in nothing but its name.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $# == 2 ]] || { echo "usage: scripts/base-image.sh LAYER REPOSITORY" >&2; exit 2; }
layer=$1 repository=$2
crane() { "$root/scripts/tool" crane "$@" --insecure; }

manifests=()
for platform in linux/amd64 linux/arm64; do
	tag=$repository:${platform#linux/}
	crane append --oci-empty-base --new_layer "$layer" --new_tag "$tag" >/dev/null
	crane mutate "$tag" --set-platform "$platform" --user 65532:65532 --tag "$tag" >/dev/null
	manifests+=(--manifest "$repository@$(crane digest "$tag")")
done
crane index append "${manifests[@]}" --tag "$repository:index" >/dev/null
echo "$repository@$(crane digest "$repository:index")"
