# shellcheck shell=bash
# The node_modules of the images. They are installed outside of the build, once for each lock file, because a build step
# of the private engine cannot reach a registry.

# declare_deps PROGRAM [ARCHITECTURE]: ARCHITECTURE as npm names it; by default this machine's.
declare_deps() {
  item "deps-$1${2:+-$2}" prepared.tar @"$REPO_DIR/package.json" @"$REPO_DIR/package-lock.json" \
    @"$HACK_DIR/lib/production-deps.sh"
}

prepare_deps() {
  declare_deps "$@"
  item_ready "deps-$1${2:+-$2}" && return
  need_npm
  item_install "deps-$1${2:+-$2}" '20 s' "production dependencies of the $1${2:+ for $2}" install_production_deps "$@"
}

# install_production_deps PROGRAM [ARCHITECTURE] OUT
install_production_deps() {
  local out=${*: -1}
  cp "$REPO_DIR"/{package.json,package-lock.json,.npmrc} "$out/"
  cd "$out" || return
  # The platform decides which native libraries npm installs.
  if (($# == 3)); then export npm_config_os=linux npm_config_cpu=$2 npm_config_libc=glibc; fi
  sh "$HACK_DIR/lib/production-deps.sh" "$1"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mode=a+rX -cf prepared.tar node_modules
  rm -rf node_modules
}
