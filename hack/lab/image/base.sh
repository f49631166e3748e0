# shellcheck shell=bash
# The base image for machines that cannot reach a registry: that of the released images, with a shell and its tools, which
# the Dockerfiles and the pods of the tests call. release-base.sh has the functions.

BASE_TOOLS=(dash coreutils findutils)

declare_base() {
  declare_node
  # The key of Node.js, not its path: the image is the same in every cache folder.
  item base-image "$(distribution)" "${BASE_TOOLS[*]}" "${ITEM_PATH[node]##*/}" @"$HACK_DIR/lab/image/base.sh" \
    @"$HACK_DIR/lab/image/archive.sh" @"$HACK_DIR/lab/image/release-base.sh" "${BASE_LAYER_SOURCES[@]}"
  # The name contains the key, so that a daemon that has an image of this name has this content.
  # shellcheck disable=SC2034
  BASE_IMAGE=orcacache/base:${ITEM_PATH[base-image]##*/}
}

base_build() {
  local out=$1 root=$1/root architecture
  architecture=$(dpkg --print-architecture)
  PATH=${ITEM_PATH[node]}/bin:$PATH
  take_lock 4 "$CACHE_DIR/locks/apt-$architecture" 'package list'
  foreign_apt "$architecture" update
  base_layer "$architecture" "${ITEM_PATH[node]}/bin/node" "$out" "${BASE_TOOLS[@]}"
  release_lock 4
  mkdir "$root"
  tar -xzf "$out/layer.tar.gz" -C "$root"
  # A diversion in Debian.
  ln -sf dash "$root/bin/sh"
  image_archive "$BASE_IMAGE" "$root" "$out/base.tar" \
    '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["node"]}'
  rm -rf --one-file-system "$root" "$out/layer.tar.gz" "$out/base.json"
}

# base_load: loads the base image into the container engine.
base_load() {
  declare_base
  "$HACK_DIR/tools" node docker
  need_apt 'the packages of the base image'
  item_install base-image '20–60 s' 'base image' base_build
  docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 || docker load --quiet --input "${ITEM_PATH[base-image]}/base.tar"
}
