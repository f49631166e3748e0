# shellcheck shell=bash
# Packages of the npm registry. `npm ci` rejects a package that does not match the integrity in the committed lock file.

need_npm() { have npm || die "npm is missing: install npm >= 10 and the Node.js that it runs on"; }

# npm_install LOCK_DIR OUT [OPTION…]: without the install scripts of dependencies, which no package here needs and which could
# run arbitrary code. npm runs on the pinned Node.js if that is installed.
npm_install() {
  cp "$1/package.json" "$1/package-lock.json" "$2/"
  [[ ! -f $1/.npmrc ]] || cp "$1/.npmrc" "$2/"
  ! item_ready node || PATH=${ITEM_PATH[node]}/bin:$PATH
  cd "$2" || return
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error "${@:3}"
}

declare_node() { item node @"$HACK_DIR/lib/npm/node/package-lock.json"; }

# The lock file has one package for each processor architecture; npm installs the matching one, and reports no error
# if there is no match.
node_build() {
  local out=$1 binary
  npm_install "$HACK_DIR/lib/npm/node" "$out"
  binary=$(cd "$out" && compgen -G 'node_modules/node-linux-*/bin/node') ||
    { echo "the lock file has no Node.js for $ARCH"; return 1; }
  mkdir "$out/bin"
  ln -s "../$binary" "$out/bin/node"
  "$out/bin/node" --version
}

install_node() {
  item_ready node && return
  need_npm
  item_install node '10 s' 'Node.js' node_build
}

declare_azurite() { item azurite @"$HACK_DIR/lib/npm/azurite/package-lock.json"; }

azurite_build() {
  npm_install "$HACK_DIR/lib/npm/azurite" "$1"
  ln -s node_modules/.bin "$1/bin"
}

install_azurite() {
  item_ready azurite && return
  need_npm
  item_install azurite '20–60 s' 'Azurite' azurite_build
}

declare_minio() { item minio @"$HACK_DIR/lib/npm/minio/package-lock.json"; }

# Not on the module path of Node.js: a wrapper runs scripts that may import it.
minio_build() {
  local out=$1
  npm_install "$HACK_DIR/lib/npm/minio" "$out"
  mkdir "$out/bin"
  # shellcheck disable=SC2016 # the wrapper's own variables
  printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nNODE_PATH=$here/../node_modules exec node "$@"\n' \
    >"$out/bin/orca-clients-node"
  chmod +x "$out/bin/orca-clients-node"
  "$out/bin/orca-clients-node" -e 'require("minio")'
}

install_minio() {
  item_ready minio && return
  need_npm
  item_install minio '10 s' 'minio for JavaScript' minio_build
}

# The dependencies of the checkout are in the checkout, where Node.js resolves them, and so is their stamp: one for all
# of them, and one for those that the programs need at run time, which are a quarter.
DEPS_STAMP=$REPO_DIR/node_modules/.orcacache-lock
RUNTIME_STAMP=$REPO_DIR/node_modules/.orcacache-lock-runtime

deps_key() { hash_of "$ARCH" @"$REPO_DIR/package-lock.json"; }

# stamped STAMP: a checkout without a lock file has nothing to install.
stamped() {
  [[ ! -f $REPO_DIR/package-lock.json ]] && return
  [[ -f $1 && $(<"$1") == "$(deps_key)" ]]
}

deps_ready() { stamped "$DEPS_STAMP"; }

runtime_ready() { deps_ready || stamped "$RUNTIME_STAMP"; }

# deps_build STAMP [OPTION…]: installed in a staging folder and then renamed, so that a process that runs from this
# checkout never sees an incomplete node_modules.
deps_build() {
  local staging=$REPO_DIR/node_modules/.orcacache-staging
  rm -rf "$staging"
  mkdir -p "$staging"
  npm_install "$REPO_DIR" "$staging" "${@:2}"
  deps_key >"$staging/node_modules/${1##*/}"
  mv "$REPO_DIR/node_modules" "$REPO_DIR/.node_modules-old"
  mv "$REPO_DIR/.node_modules-old/${staging##*/}/node_modules" "$REPO_DIR/node_modules"
  rm -rf "$REPO_DIR/.node_modules-old"
}

# install_checkout READY STEP…: one lock for both, since they fill the same folder.
install_checkout() {
  "$1" && return
  need_npm
  take_lock 9 "$CACHE_DIR/locks/deps-$(hash_of "$REPO_DIR")" 'installation of the npm dependencies of this checkout'
  "$1" || step "${@:2}"
  release_lock 9
}

install_deps() { install_checkout deps_ready '20–60 s' 'npm dependencies of the checkout' deps_build "$DEPS_STAMP"; }

install_runtime() {
  install_checkout runtime_ready '5–20 s' 'npm dependencies of the programs' deps_build "$RUNTIME_STAMP" --omit=dev
}
