# shellcheck shell=bash

declare_helm() { item helm "$HELM_VERSION"; }

install_helm() {
  item_ready helm && return
  need_go
  item_install helm '60–180 s' "helm $HELM_VERSION" go_install "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
}
