# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the files that source this one
# Every version that hack/tools pins by number. npm packages are pinned in hack/lib/npm/*/package-lock.json, PyPI
# packages in hack/lib/pip, and modules of Go programs in hack/*/go.sum and hack/lab/kube/go.sum.

# Both are those of the package in hack/lib/npm/helm.
HELM_VERSION=v4.2.3
KUBERNETES_VERSION=v1.36.3
# Examples and monitors are validated against the CRDs of these.
PROMETHEUS_OPERATOR_VERSION=v0.85.0
FLUX_KUSTOMIZE_VERSION=v1.7.3
FLUX_SOURCE_VERSION=v1.8.0
ARGO_CD_VERSION=v3.4.0
GATEWAY_API_VERSION=v1.4.0
VERSITYGW_VERSION=v1.8.0
# Its conditional writes of large bodies race; tests need such a store.
VERSITYGW_RACY_VERSION=v1.7.0
TOXIPROXY_VERSION=v2.12.0
RCLONE_VERSION=v1.76.0
PAUSE_IMAGE=localhost/pause:1
GO_MINIMUM=1.26
