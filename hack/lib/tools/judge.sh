# shellcheck shell=bash
# Evaluates resources written for other programs by the code of those programs: one program with their libraries, and
# the CRDs of the Prometheus operator, Flux and Argo CD.

MONITORING_MODULE=github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR_VERSION
KUSTOMIZE_MODULE=github.com/fluxcd/kustomize-controller@$FLUX_KUSTOMIZE_VERSION
SOURCE_MODULE=github.com/fluxcd/source-controller@$FLUX_SOURCE_VERSION
ARGO_CD_MODULE=github.com/argoproj/argo-cd/v3@$ARGO_CD_VERSION
GATEWAY_MODULE=sigs.k8s.io/gateway-api@$GATEWAY_API_VERSION

declare_judge() {
  local judge=$HACK_DIR/judge
  item judge @"$judge"/go.mod @"$judge"/go.sum @"$judge"/main.go @"$judge"/query.go
  item foreign-crds "$MONITORING_MODULE" "$KUSTOMIZE_MODULE" "$SOURCE_MODULE" "$ARGO_CD_MODULE"
  item gateway-crds "$GATEWAY_MODULE"
}

judge_build() {
  mkdir "$1/bin"
  go_build "$HACK_DIR/judge" judge '' "$1"
}

# module_files MODULE@VERSION FILE… OUT: copies files of a published module.
module_files() {
  local out=${*: -1} file folder
  go_environment
  folder=$(cd / && go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [[ -n $folder ]] || die "could not download $1"
  for file in "${@:2:$#-2}"; do install -m 644 "$folder/$file" "$out/"; done
}

foreign_crds() {
  local monitoring=example/prometheus-operator-crd/monitoring.coreos.com_ flux=config/crd/bases
  module_files "$MONITORING_MODULE" "$monitoring"{podmonitors,prometheusrules,servicemonitors}.yaml "$1"
  module_files "$KUSTOMIZE_MODULE" $flux/kustomize.toolkit.fluxcd.io_kustomizations.yaml "$1"
  module_files "$SOURCE_MODULE" $flux/source.toolkit.fluxcd.io_{git,helm,oci}repositories.yaml "$1"
  module_files "$ARGO_CD_MODULE" manifests/crds/application-crd.yaml "$1"
}

install_judge() {
  item_ready judge && item_ready foreign-crds && return
  need_go
  item_install foreign-crds '5–60 s' 'CRDs of the Prometheus operator, Flux and Argo CD' foreign_crds
  item_install judge '60–180 s' 'kstatus, Lua, PromQL' judge_build
}

gateway_crds() {
  module_files "$GATEWAY_MODULE" config/crd/standard/gateway.networking.k8s.io_{gateways,httproutes}.yaml "$1"
}

# For hack/test api, which needs nothing else of this file.
install_gateway_crds() {
  item_ready gateway-crds && return
  need_go
  item_install gateway-crds '5 s' 'CRDs of the Gateway API' gateway_crds
}
