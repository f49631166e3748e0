# shellcheck shell=bash
# The base of the released images: a few Debian packages, for any processor, and Node.js. apt downloads and verifies them
# from the sources of this machine; nothing of them is executed or installed here.

# Without their dependencies, which maintainer scripts need.
RELEASE_BASE_FILES=(base-files ca-certificates)
# What Node.js links to, with dependencies.
RELEASE_BASE_LIBRARIES=(libatomic1 libstdc++6)

# What writes the layer.
BASE_LAYER_SOURCES=(@"$HACK_DIR/release.d/base-layer.ts" @"$HACK_DIR/release.d/tar.ts" @"$HACK_DIR/release.d/write.ts")

# foreign_apt ARCHITECTURE ARGUMENT...: with package lists of its own and no installed package.
foreign_apt() {
  local state=$CACHE_DIR/apt/$1
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  : >"$state/status"
  # apt's sandbox user cannot write to a cache below a private home folder.
  apt-get -qq -o APT::Architecture="$1" -o APT::Architectures="$1" -o Dir::State="$state" \
    -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Install-Recommends=false "${@:2}"
}

# release_base ARCHITECTURE NODE: declares and installs the item release-base-ARCHITECTURE. Its key contains the
# digests of the packages, so that it follows the updates of Debian.
release_base() {
  local architecture=$1 node=$2 list
  need_apt 'the packages of the released images'
  [[ $(distribution) == debian-* ]] ||
    die "the released images consist of Debian packages, and apt of this machine has those of $(distribution): run it in a container of Debian"
  take_lock 4 "$CACHE_DIR/locks/apt-$architecture" 'package list'
  step '10 s' "package lists for $architecture" foreign_apt "$architecture" update
  list=$(release_base_list "$architecture")
  release_lock 4
  item "release-base-$architecture" "$(grep -o '[^ ]*$' <<<"$list")" @"$node" "${BASE_LAYER_SOURCES[@]}"
  item_install "release-base-$architecture" '20–60 s' "base of the images for $architecture" \
    base_layer "$architecture" "$node"
}

# release_base_list ARCHITECTURE: prints URL, file, size and digest of each package.
release_base_list() {
  foreign_apt "$1" --yes --print-uris install "${RELEASE_BASE_LIBRARIES[@]}"
  foreign_apt "$1" --print-uris download "${RELEASE_BASE_FILES[@]}"
}

# base_layer ARCHITECTURE NODE OUT [PACKAGE…]: writes layer.tar.gz and base.json. The packages have their dependencies.
base_layer() {
  local architecture=$1 node=$2 out=$3 packages
  packages=$(foreign_apt "$architecture" --yes --print-uris install "${RELEASE_BASE_LIBRARIES[@]}" "${@:4}" |
    sed -E "s/^[^ ]* ([^_]*)_.*/\1/")
  mkdir "$out/debs"
  # shellcheck disable=SC2086 # several names
  (cd "$out/debs" && foreign_apt "$architecture" download $packages "${RELEASE_BASE_FILES[@]}")
  node "$HACK_DIR/release.d/base-layer.ts" --arch "$architecture" --debs "$out/debs" --node "$node" --out "$out"
  rm -r "$out/debs"
}
