# shellcheck shell=bash

# image_archive NAME:TAG ROOTFS_DIR OUT.tar CONFIG_JSON: writes a folder as an image archive that Docker and containerd
# can load, without using either. The output is reproducible.
image_archive() {
  local name=$1 rootfs=$2 out=$3 config=$4 work architecture layer digest
  case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) architecture=$(uname -m) ;;
  esac
  work=$(mktemp -d)
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$rootfs" -cf "$work/layer.tar" .
  layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"1970-01-01T00:00:00Z"}]}' \
    "$architecture" "$config" "$layer" >"$work/config.json"
  digest=$(sha256sum "$work/config.json" | cut -d' ' -f1)
  mv "$work/config.json" "$work/$digest.json"
  printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$digest" "$name" >"$work/manifest.json"
  tar --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -cf "$out" manifest.json "$digest.json" layer.tar
  rm -r "$work"
}
