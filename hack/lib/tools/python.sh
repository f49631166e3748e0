# shellcheck shell=bash
# Packages of PyPI: the AWS CLI, the second client of hack/demo; the clients of `hack/test clients`; shellcheck.
# pip rejects a package that does not match the hashes in hack/lib/pip or that needs a build script.

need_python() {
  have python3 || die 'python3 is missing: install Python >= 3.9'
}

python_version() {
  python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none
}

# Compiled packages work with one version of Python only.
declare_awscli() { item awscli @"$HACK_DIR/lib/pip/awscli.txt" "$(python_version)"; }

# python_packages LOCK OUT: installs into OUT/lib and prints the interpreter that the packages work with.
python_packages() {
  local lock=$1 out=$2 python pip
  python=$(python3 -c 'import sys; print(sys.executable)')
  if "$python" -m pip --version >&2; then
    pip=(-m pip)
  else
    # Debian's Python lacks pip; Python can run pip from its wheel.
    unpack_packages python3-pip-whl "$out/pip" >&2
    pip=("$(compgen -G "$out/pip/root/usr/share/python-wheels/pip-*.whl")/pip")
  fi
  "$python" "${pip[@]}" --no-cache-dir --disable-pip-version-check install --quiet --require-hashes --no-deps \
    --only-binary=:all: --target "$out/lib" -r "$lock" >&2
  rm -rf "$out/pip"
  echo "$python"
}

awscli_build() {
  local out=$1 python
  python=$(python_packages "$HACK_DIR/lib/pip/awscli.txt" "$out")
  mkdir "$out/bin"
  # shellcheck disable=SC2016 # the wrapper's own variables
  printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nPYTHONPATH=$here/../lib exec %q -m awscli "$@"\n' \
    "$python" >"$out/bin/aws"
  chmod +x "$out/bin/aws"
  "$out/bin/aws" --version
}

install_awscli() {
  item_ready awscli && return
  need_python
  item_install awscli '20 s' 'AWS CLI' awscli_build
}

declare_readers() { item readers @"$HACK_DIR/lib/pip/readers.txt" "$(python_version)"; }

readers_build() {
  local out=$1 python
  python=$(python_packages "$HACK_DIR/lib/pip/readers.txt" "$out")
  mkdir "$out/bin"
  # shellcheck disable=SC2016 # the wrapper's own variables
  printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nPYTHONPATH=$here/../lib exec %q "$@"\n' \
    "$python" >"$out/bin/orca-clients-python"
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nexec "$here/orca-clients-python" "$here/../lib/bin/s3cmd" "$@"\n' \
    >"$out/bin/s3cmd"
  chmod +x "$out/bin/orca-clients-python" "$out/bin/s3cmd"
  "$out/bin/orca-clients-python" -c 'import awscrt, boto3, duckdb, duckdb_extension_httpfs, polars, pyarrow, s3fs'
  "$out/bin/s3cmd" --version
}

install_readers() {
  item_ready readers && return
  need_python
  item_install readers '60 s' 'boto3, s3fs, pyarrow, polars, duckdb, s3cmd' readers_build
}

# Beside the readers, whose packages they use.
declare_recipes() {
  item recipes @"$HACK_DIR/lib/pip/recipes.txt" @"$HACK_DIR/lib/pip/readers.txt" "$(python_version)"
}

recipes_build() {
  local out=$1 python
  python=$(python_packages "$HACK_DIR/lib/pip/recipes.txt" "$out")
  mkdir "$out/bin"
  # shellcheck disable=SC2016 # the wrapper's own variables
  printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nPYTHONPATH=$here/../lib:%q exec %q "$@"\n' \
    "${ITEM_PATH[readers]}/lib" "$python" >"$out/bin/orca-recipes-python"
  chmod +x "$out/bin/orca-recipes-python"
  "$out/bin/orca-recipes-python" -c 'import datasets, s3torchconnectorclient, safetensors.numpy'
}

install_recipes() {
  item_ready recipes && return
  need_python
  item_install recipes '30 s' 'datasets, safetensors, s3torchconnectorclient' recipes_build
}
