# shellcheck shell=bash
# Go programs, built from modules. Regardless of the user's environment, each module is verified against go.sum or the
# public checksum database.

need_go() {
  local version
  have go || die "Go >= $GO_MINIMUM is missing: install it and put it on PATH"
  version=$(cd / && go env GOVERSION)
  version=${version#go}
  [[ $(printf '%s\n' "$GO_MINIMUM" "${version%%[!0-9.]*}" | sort -V | head -n 1) == "$GO_MINIMUM" ]] ||
    die "Go >= $GO_MINIMUM is missing: the one on PATH is $version"
}

go_environment() {
  unset GONOSUMDB GONOSUMCHECK GOPRIVATE GONOPROXY GOINSECURE GOOS GOARCH GOEXPERIMENT GOBIN
  # Without debug information, which the linker would drop: writing it is an eighth of the compiler's work.
  export GOWORK=off CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false -gcflags=all=-dwarf=false'
  # A separate build cache, because other projects trim a shared one, and building Kubernetes without a cache takes
  # minutes. The module cache is the shared one.
  export GOCACHE=$CACHE_DIR/go-build
}

# go_install PACKAGE@VERSION OUT
go_install() {
  go_environment
  mkdir "$2/bin"
  cd /
  GOBIN=$2/bin go install -ldflags '-s -w' "$1"
}

# go_install_as BINARY PACKAGE@VERSION OUT: installs it under a name that differs from the package's.
go_install_as() {
  local built
  go_install "$2" "$3"
  built=("$3"/bin/*)
  mv "${built[0]}" "$3/bin/$1"
}

# go_build SOURCE_DIR BINARY LDFLAGS OUT: `share_of` reads its output.
go_build() {
  go_environment
  cd "$1" || return
  printf 'packages: %d\n' "$(go list -mod=readonly -deps . | wc -l)"
  go build -v -mod=readonly -ldflags "-s -w $3" -o "$4/bin/$2" .
}
