# shellcheck shell=bash
# The linter of shell scripts, for `npm run check`.

declare_lint() { item shellcheck "$(distribution)" @"$HACK_DIR/lib/pip/shellcheck.txt"; }

shellcheck_build() {
  python_packages "$HACK_DIR/lib/pip/shellcheck.txt" "$1"
  mkdir "$1/bin"
  ln -s ../lib/bin/shellcheck "$1/bin/"
  "$1/bin/shellcheck" --version
}

# PyPI has a build for x86_64 only. Debian's may be older and find less.
install_lint() {
  item_ready shellcheck && return
  if [[ $ARCH == x86_64 ]]; then
    need_python
    item_install shellcheck '10 s' shellcheck shellcheck_build
  else
    install_unpacked shellcheck shellcheck shellcheck
  fi
}
