# shellcheck shell=bash
# The go.mod of a program that is built from the modules of a release of Kubernetes.

# write_go_mod VERSION MODULE [COMMENT]: writes go.mod and go.sum into the current folder. It copies the go.mod of the
# release, so that every third-party version is the one that the release was tested with. Only the replacements by folders
# of the upstream repository become published modules (k8s.io/api v0.36.3 …).
write_go_mod() {
  local version=$1 module=$2 comment=${3:-} upstream
  upstream=$(cd / && go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  {
    echo "module $module"
    echo
    [[ -z $comment ]] || echo "// $comment"
    sed -e '/^module /d' -e '/^\/\//d' -e "s#=> ./staging/src/k8s.io/\(.*\)#=> k8s.io/\1 v0.${version#v1.}#" "$upstream/go.mod"
    echo
    echo "require k8s.io/kubernetes $version"
  } >go.mod
  install -m 644 "$upstream/go.sum" go.sum
}
