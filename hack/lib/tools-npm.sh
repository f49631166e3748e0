# shellcheck shell=bash
# What the npm registry brings. `npm ci` refuses whatever does not match the
# integrity in the committed lock file.

need_npm() { have npm || die "npm is missing: install it (any version >= 10) with the Node.js it runs on"; }

# npm_install LOCK_DIR OUT: the install scripts of dependencies do not run:
# nothing here needs them, and they would run whatever a package put there.
# npm itself runs on the pinned Node.js as soon as that is there.
npm_install() {
  cp "$1/package.json" "$1/package-lock.json" "$2/"
  [[ ! -f $1/.npmrc ]] || cp "$1/.npmrc" "$2/"
  ! item_ready node || PATH=${ITEM_PATH[node]}/bin:$PATH
  cd "$2" || return
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

declare_node() { item node @"$HACK_DIR/lib/npm/node/package-lock.json"; }

# The lock holds one package for each processor; npm takes the one that fits
# and reports nothing if none does.
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

# Not on Node's own path: a wrapper runs scripts that may load it.
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

# The checkout's own dependencies. They live in the checkout, where Node looks
# for them, so their stamp does too.
DEPS_STAMP=$REPO_DIR/node_modules/.orcacache-lock

deps_key() { hash_of "$ARCH" @"$REPO_DIR/package-lock.json"; }

deps_ready() {
  [[ ! -f $REPO_DIR/package-lock.json ]] && return
  [[ -f $DEPS_STAMP && $(<"$DEPS_STAMP") == "$(deps_key)" ]]
}

# Installed beside and then exchanged: whoever runs from this checkout
# meanwhile never sees a half-filled node_modules.
deps_build() {
  local staging=$REPO_DIR/node_modules/.orcacache-staging
  rm -rf "$staging"
  mkdir -p "$staging"
  npm_install "$REPO_DIR" "$staging"
  deps_key >"$staging/node_modules/${DEPS_STAMP##*/}"
  mv "$REPO_DIR/node_modules" "$REPO_DIR/.node_modules-old"
  mv "$REPO_DIR/.node_modules-old/${staging##*/}/node_modules" "$REPO_DIR/node_modules"
  rm -rf "$REPO_DIR/.node_modules-old"
}

install_deps() {
  deps_ready && return
  need_npm
  step '20–60 s' "npm dependencies of the checkout" deps_build
}
