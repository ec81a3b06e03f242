#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the image, the bundles and the package repository into dist/. Pushes nothing: what needs a registry on the way is given
# one on loopback that ends with the script. bundle/README.md lists what dist/ holds.
#
#   VERSION      version of the packages; default 0.3.0-dev
#   REGISTRY     host/path that dist/local-source-proxy.yml takes its image from; scripts/publish.sh puts it there
#   EARLIER      versions, separated by spaces, that the package repository has too; they are read from REGISTRY. By default none
#   BASE_IMAGE   base of the image, for both platforms; default: our own (CA certificates and a user, nothing else)
#
# The lock files in the bundles name their images below "$origin", which is no real host: every tool reaches it through
# HTTP_PROXY. So the digests depend neither on a port nor on where the bundles are published; imgpkg copy relocates them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
export VERSION=${VERSION:-0.3.0-dev} COMMIT
registry=${REGISTRY:-registry.invalid}
origin=build.invalid
dist=$root/dist
work=$(mktemp -d)
server='' port=''
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

tool() { "$root/scripts/tool" "$@"; }

# explain TEXT…: ends with what the last tool said, and with one line of ours.
explain() {
	cat "$work/log" >&2
	fail "$@"
}

imgpkg_flags

# on_loopback COMMAND…: runs it with the registry on loopback as its whole network. The docker config stays out of it.
on_loopback() {
	env -u SOURCE_DATE_EPOCH -u NO_PROXY -u no_proxy -u http_proxy -u https_proxy HTTP_PROXY="http://127.0.0.1:$port" \
		HTTPS_PROXY="http://127.0.0.1:$port" DOCKER_CONFIG="$work" GOPROXY=off "$@"
}

# reference_in LOCK: the reference in imgpkg's --lock-output.
reference_in() { sed -n 's/^ *image: //p' "$1"; }

# package_template ARGUMENT…: writes what ytt makes of the Package templates, with the values that all of them take.
package_template() {
	tool ytt -f bundle/package-schema.yml --file-mark openapi.yml:type=data -v "version=$VERSION" -v "released_at=$released_at" \
		--data-value-file "release_notes=$work/notes.md" "$@"
}

start_registry() {
	local name
	for name in crane imgpkg kbld ko ytt; do tool --path "$name" >/dev/null; done
	mkdir "$work/blobs"
	: >"$work/registry.log" # there before it is read for the first time
	"$root/scripts/tool" crane registry serve --address 127.0.0.1:0 --disk "$work/blobs" >"$work/registry.log" 2>&1 &
	server=$!
	for _ in {1..1200}; do
		port=$(sed -n 's/.*serving on port \([0-9]*\).*/\1/p' "$work/registry.log")
		[[ -z $port ]] || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	cat "$work/registry.log" >&2
	fail "the registry on loopback did not start"
}

build_base() {
	if [[ -n ${BASE_IMAGE:-} ]]; then
		say "taking $BASE_IMAGE as the base"
		tool crane pull --format=oci "$BASE_IMAGE" "$work/base"
		on_loopback scripts/tool crane push --insecure "$work/base" "$origin/base:given" >"$work/log" 2>&1 ||
			explain "crane could not hand the base to ko"
		base=$origin/base@$(on_loopback scripts/tool crane digest --insecure "$origin/base:given" 2>/dev/null)
		return
	fi
	say "making the base: CA certificates and a user"
	go -C scripts/baseimage run . >"$work/base.tar"
	base=$(on_loopback scripts/base-image.sh "$work/base.tar" "$origin/base" 2>"$work/log") || explain "crane could not make the base"
}

build_image() {
	say "building the image for linux/amd64 and linux/arm64"
	local arch
	for arch in amd64 arm64; do # what ko compiles has to be here already: it runs without a network
		CGO_ENABLED=0 GOOS=linux GOARCH=$arch go list -deps ./src/cmd/local-source-proxy >/dev/null
	done
	# Settings of one's own for the compiler would give other bytes.
	image=$(on_loopback env -u GOFLAGS -u GOEXPERIMENT -u GOAMD64 -u GOARM64 KO_CONFIG_PATH="$root/bundle" \
		KO_DOCKER_REPO="$origin/local-source-proxy" KO_DEFAULTBASEIMAGE="$base" scripts/tool ko build --bare --insecure-registry \
		--platform linux/amd64,linux/arm64 --image-user 65532:65532 --tags "image-$VERSION" --sbom none \
		./src/cmd/local-source-proxy 2>"$work/log") || explain "ko could not build the image"
	image=$origin/local-source-proxy@${image##*@}
	mkdir -p "$dist/sbom"
	for arch in amd64 arm64; do
		on_loopback scripts/tool crane export --insecure --platform "linux/$arch" "$image" "$work/$arch.tar" 2>"$work/log" ||
			explain "crane could not read the image for linux/$arch"
		mkdir "$work/$arch"
		tar -C "$work/$arch" -xf "$work/$arch.tar"
		scripts/sbom.sh "$work/$arch/ko-app/local-source-proxy" "$dist/sbom/local-source-proxy-linux-$arch.cdx.json"
	done
}

# with_image REFERENCE: manifests on stdin, with the image's reference in the place of its name; more arguments go to kbld.
with_image() {
	tool ytt -f bundle/kbld-schema.yml -f bundle/kbld.yml -v "image=$1" >"$work/kbld.yml"
	tool kbld -f - -f "$work/kbld.yml" "${@:2}" 2>"$work/log" || explain "kbld could not resolve the image"
}

# push_bundle NAME DIR: pushes DIR to the registry on loopback and into dist/, and sets $bundle to its reference.
push_bundle() {
	local name=$1 dir=$2
	find "$dir" -type d -exec chmod 0755 {} + && find "$dir" -type f -exec chmod 0644 {} +
	on_loopback scripts/tool imgpkg push --registry-insecure -b "$origin/$name:$VERSION" -f "$dir" \
		--lock-output "$work/$name.lock.yml" >"$work/log" 2>&1 || explain "imgpkg could not push $name"
	bundle=$(reference_in "$work/$name.lock.yml")
	on_loopback scripts/tool imgpkg copy --registry-insecure -b "$origin/$name:$VERSION" --to-tar "$dist/$name.tar" \
		>"$work/log" 2>&1 || explain "imgpkg could not save $name"
	echo "$name $bundle" | sed "s|$origin/$name@||" >>"$dist/digests.txt"
}

build_package() {
	say "making the bundle"
	local dir=$work/stage/local-source-proxy
	mkdir -p "$dir/.imgpkg" && cp bundle/.imgpkg/bundle.yml "$dir/.imgpkg/"
	tool ytt -f "$dir/config" | with_image "$image" --imgpkg-lock-output "$dir/.imgpkg/images.yml" >/dev/null
	# What imgpkg copies is what the bundle holds.
	mkdir "$dir/sbom" && cp "$dist"/sbom/*.cdx.json "$dir/sbom/"
	push_bundle local-source-proxy "$dir"
	package_template -f bundle/package.yml -f bundle/openapi.yml -v "bundle=$bundle" >"$work/package.yml"
}

build_profiles() {
	say "making the profiles' bundle"
	local dir=$work/stage/ootb-profiles
	mkdir -p "$dir/.imgpkg" && cp package-repository/ootb-profiles/.imgpkg/bundle.yml "$dir/.imgpkg/"
	tool ytt -f "$dir/config" | tool kbld -f - --imgpkg-lock-output "$dir/.imgpkg/images.yml" >"$work/log" 2>&1 ||
		explain "kbld could not lock the profiles"
	push_bundle ootb-profiles "$dir"
	package_template -f package-repository/ootb-profiles/package.yml -f package-repository/ootb-profiles/openapi.yml \
		-v "bundle=$bundle" >"$work/profiles.yml"
}

# take_along VERSION DIR: the packages of an earlier version go into the repository at DIR, their bundles and images to where the
# repository's lock file names them.
take_along() {
	local earlier=$1 dir=$2 name package
	say "taking along version $earlier"
	scripts/tool imgpkg pull -b "$registry/package-repository:$earlier" -o "$work/earlier/$earlier" "${imgpkg_flags[@]}" >"$work/log" 2>&1 ||
		explain "the package repository of version $earlier cannot be read"
	for name in local-source-proxy ootb-profiles; do
		package=packages/$name.apps.tanzu.vmware.com/$earlier.yml
		cp "$work/earlier/$earlier/$package" "$dir/$package"
		rm -f "$work/earlier/$name.tar"
		scripts/tool imgpkg copy -b "$registry/$name:$earlier" --to-tar "$work/earlier/$name.tar" "${imgpkg_flags[@]}" >"$work/log" 2>&1 ||
			explain "$name of version $earlier cannot be read"
		on_loopback scripts/tool imgpkg copy --registry-insecure --tar "$work/earlier/$name.tar" --to-repo "$origin/$name" >"$work/log" 2>&1 ||
			explain "$name of version $earlier could not be taken along"
	done
}

build_repository() {
	say "making the package repository"
	local dir=$work/stage/package-repository name to earlier
	mkdir -p "$dir/.imgpkg" && cp package-repository/.imgpkg/bundle.yml "$dir/.imgpkg/"
	for name in local-source-proxy ootb-profiles; do
		to=$dir/packages/$name.apps.tanzu.vmware.com
		mkdir -p "$to"
		tool ytt -f "package-repository/packages/$name.apps.tanzu.vmware.com" >"$to/metadata.yml"
	done
	cp "$work/package.yml" "$dir/packages/local-source-proxy.apps.tanzu.vmware.com/$VERSION.yml"
	cp "$work/profiles.yml" "$dir/packages/ootb-profiles.apps.tanzu.vmware.com/$VERSION.yml"
	for earlier in ${EARLIER:-}; do take_along "$earlier" "$dir"; done
	tool kbld -f "$dir/packages" --imgpkg-lock-output "$dir/.imgpkg/images.yml" >"$work/log" 2>&1 ||
		explain "kbld could not lock the packages"
	push_bundle package-repository "$dir"
}

released_at=$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null) ||
	fail "this is not a git checkout: the packages carry the commit and its time"
COMMIT=$(built_from 12)
rm -rf "$dist" && mkdir -p "$dist"
scripts/stage.sh "$work/stage" "$VERSION"
mkdir "$work/earlier"
release_notes >"$work/notes.md"
start_registry
build_base
build_image
echo "image ${image##*@}" >"$dist/digests.txt"
build_package
build_profiles
build_repository
{
	echo "# Local Source Proxy $VERSION for clusters without Carvel: see bundle/README.md, \"With kubectl alone\"."
	tool ytt -f config --data-values-file bundle/plain-values.yml | with_image "$registry/local-source-proxy@${image##*@}"
} >"$dist/local-source-proxy.yml"
echo "$VERSION $COMMIT $registry" >"$dist/made-for.txt"
say "in dist/, version $VERSION:"
cat "$dist/digests.txt"
