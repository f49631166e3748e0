# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the files that source this one
# Every version that hack/tools pins by number. What npm brings is pinned in
# hack/lib/npm/*/package-lock.json, what Go builds from this checkout in
# hack/kube/*/go.sum and hack/judge/go.sum.

KUBERNETES_VERSION=v1.36.3
HELM_VERSION=v4.3.1
# Their CRDs, which examples and monitors are checked against.
PROMETHEUS_OPERATOR_VERSION=v0.85.0
FLUX_KUSTOMIZE_VERSION=v1.7.3
FLUX_SOURCE_VERSION=v1.8.0
ARGO_CD_VERSION=v3.4.0
VERSITYGW_VERSION=v1.8.0
# Its conditional writes of large bodies race: tests need a store like that.
VERSITYGW_RACY_VERSION=v1.7.0
TOXIPROXY_VERSION=v2.12.0
RCLONE_VERSION=v1.76.0
PAUSE_IMAGE=localhost/pause:1
GO_MINIMUM=1.26
