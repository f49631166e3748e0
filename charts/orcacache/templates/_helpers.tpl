{{- define "orcacache.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "orcacache.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "orcacache.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "orcacache.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Selector of the operator's pods. It is immutable, and it must not match cache pods. */}}
{{- define "orcacache.selectorLabels" -}}
app.kubernetes.io/name: {{ include "orcacache.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "orcacache.ownLabels" -}}
{{ include "orcacache.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: orcacache
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "orcacache.labels" -}}
{{- include "orcacache.labelsWith" (list . dict) }}
{{- end }}

{{/* Labels of an object, merged with additional ones: strict field validation rejects duplicate keys. (list . labels) */}}
{{- define "orcacache.labelsWith" -}}
{{- $root := index . 0 }}
{{- $own := include "orcacache.ownLabels" $root | fromYaml }}
{{- mergeOverwrite $own (deepCopy $root.Values.commonLabels) (deepCopy (index . 1)) | toYaml }}
{{- end }}

{{/* Full name plus a suffix, truncated to the 63 characters of a label: (list . "metrics") */}}
{{- define "orcacache.nameWith" -}}
{{- $suffix := printf "-%s" (index . 1) }}
{{- printf "%s%s" (include "orcacache.fullname" (index . 0) | trunc (int (sub 63 (len $suffix))) | trimSuffix "-") $suffix }}
{{- end }}

{{/* Selector of the cache pods of all caches. */}}
{{- define "orcacache.cachePodLabels" -}}
app.kubernetes.io/name: orcacache
app.kubernetes.io/component: cache
{{- end }}

{{/* "true" if the cluster has the given kind of the Prometheus operator: (list . "ServiceMonitor") */}}
{{- define "orcacache.hasMonitoring" -}}
{{- if (index . 0).Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" (index . 1)) }}true{{ end }}
{{- end }}

{{/* Scrape settings shared by ServiceMonitor and PodMonitor. */}}
{{- define "orcacache.scrape" -}}
path: /metrics
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Reference of an image: (dict "image" .Values.image "root" .) */}}
{{- define "orcacache.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry }}
{{- $name := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) }}
{{- if .image.digest }}
{{- printf "%s@%s" $name .image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) }}
{{- end }}
{{- end }}

{{/* Exactly the verbs that the operator uses. */}}
{{- define "orcacache.rules" -}}
- apiGroups: [orcacache.dev]
  resources: [orcacaches]
  verbs: [get, list, watch]
- apiGroups: [orcacache.dev]
  resources: [orcacaches/status]
  verbs: [patch]
# Finished prewarms are deleted after ttlSecondsAfterFinished.
- apiGroups: [orcacache.dev]
  resources: [orcaprewarms]
  verbs: [get, list, watch, delete]
- apiGroups: [orcacache.dev]
  resources: [orcaprewarms/status]
  verbs: [patch]
# Owner references set blockOwnerDeletion, which OwnerReferencesPermissionEnforcement allows only with this verb.
- apiGroups: [orcacache.dev]
  resources: [orcacaches/finalizers, orcaprewarms/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
# Never list: the operator reads the Secrets that a cache names and manages the shared key of its replicas.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
{{- if (default dict .Values.schedulingGates).enabled }}
# RBAC has no verb for the removal of a scheduling gate alone.
- apiGroups: [""]
  resources: [pods]
  verbs: [patch]
{{- end }}
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
# RBAC lets the operator grant only rights that it has itself; the Role of the cache pods needs these.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
{{- end }}
