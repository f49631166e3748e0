# shellcheck shell=bash
# The base image where no registry answers: Debian's minimal system by
# debootstrap, verified by Debian's signing key, and the Node.js that hack/tools
# installs.

BASE_SUITE=bookworm
# libatomic1 is what the Node.js binary needs beyond a minimal system.
BASE_PACKAGES=ca-certificates,libatomic1
# Nothing in a container reads these: half of the system's bytes.
BASE_UNNEEDED=(usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian
  usr/share/bash-completion var/lib/apt/lists var/cache/apt var/cache/debconf var/log
  usr/lib/x86_64-linux-gnu/gconv usr/lib/aarch64-linux-gnu/gconv)

declare_base() {
  declare_node
  item base-image "$BASE_SUITE" "$BASE_PACKAGES" "${BASE_UNNEEDED[*]}" "${ITEM_PATH[node]}" \
    @"$HACK_DIR/lib/image-base.sh" @"$HACK_DIR/lib/image-archive.sh"
  # The key is in the name, so that a daemon which has the name has the content.
  # shellcheck disable=SC2034
  BASE_IMAGE=orcacache/base:${ITEM_PATH[base-image]##*/}
}

base_build() {
  local out=$1 root=$1/root path
  debootstrap --variant=minbase --force-check-gpg --include="$BASE_PACKAGES" "$BASE_SUITE" "$root" \
    "${ORCACACHE_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
  for path in "${BASE_UNNEEDED[@]}"; do
    [[ ! -d $root/$path ]] || find "$root/$path" -mindepth 1 -delete
  done
  # A process of the image must not find the builder's name servers.
  : >"$root/etc/resolv.conf"
  rm -f "$root/etc/hostname"
  cp --dereference "${ITEM_PATH[node]}/bin/node" "$root/usr/local/bin/node"
  image_archive "$BASE_IMAGE" "$root" "$out/base.tar" \
    '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["node"]}'
  rm -rf --one-file-system "$root"
}

# base_load: brings the base image into the container engine.
base_load() {
  declare_base
  "$HACK_DIR/tools" node docker
  need_root 'to make a base image'
  if ! item_ready base-image; then
    take_lock 7 "$CACHE_DIR/base-image.lock" 'hack/image making the base image'
    item_install base-image '30–120 s' 'base image (debootstrap)' base_build
  fi
  docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 || docker load --quiet --input "${ITEM_PATH[base-image]}/base.tar"
}
