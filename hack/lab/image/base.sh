# shellcheck shell=bash
# The base image for machines that cannot reach a registry: a minimal Debian created by debootstrap, which verifies
# Debian's signatures, and the Node.js that hack/tools installs.

BASE_SUITE=bookworm
# The Node.js binary needs libatomic1 in addition to a minimal system.
BASE_PACKAGES=ca-certificates,libatomic1
# No program in a container reads these; they are half of the system's size.
BASE_UNNEEDED=(usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian
  usr/share/bash-completion var/lib/apt/lists var/cache/apt var/cache/debconf var/log
  usr/lib/x86_64-linux-gnu/gconv usr/lib/aarch64-linux-gnu/gconv)

declare_base() {
  declare_node
  # The key of Node.js, not its path: the image is the same in every cache folder.
  item base-image "$BASE_SUITE" "$BASE_PACKAGES" "${BASE_UNNEEDED[*]}" "${ITEM_PATH[node]##*/}" \
    @"$HACK_DIR/lab/image/base.sh" @"$HACK_DIR/lab/image/archive.sh"
  # The name contains the key, so that a daemon that has an image of this name has this content.
  # shellcheck disable=SC2034
  BASE_IMAGE=orcacache/base:${ITEM_PATH[base-image]##*/}
}

base_build() {
  local out=$1 root=$1/root path
  debootstrap --variant=minbase --force-check-gpg --include="$BASE_PACKAGES" "$BASE_SUITE" "$root" \
    ${ORCACACHE_DEBIAN_MIRROR:+"$ORCACACHE_DEBIAN_MIRROR"}
  for path in "${BASE_UNNEEDED[@]}"; do
    [[ ! -d $root/$path ]] || find "$root/$path" -mindepth 1 -delete
  done
  # Containers must not inherit the name servers of this machine.
  : >"$root/etc/resolv.conf"
  rm -f "$root/etc/hostname"
  cp --dereference "${ITEM_PATH[node]}/bin/node" "$root/usr/local/bin/node"
  image_archive "$BASE_IMAGE" "$root" "$out/base.tar" \
    '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["node"]}'
  rm -rf --one-file-system "$root"
}

# base_load: loads the base image into the container engine.
base_load() {
  declare_base
  "$HACK_DIR/tools" node docker
  need_root 'to build a base image'
  item_install base-image '30–120 s' 'base image (debootstrap)' base_build
  docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 || docker load --quiet --input "${ITEM_PATH[base-image]}/base.tar"
}
