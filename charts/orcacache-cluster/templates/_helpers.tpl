{{- define "orcacache-cluster.ownLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: orcacache
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels of an object, merged with additional ones so that no key occurs twice: (list . labels) */}}
{{- define "orcacache-cluster.labels" -}}
{{- $root := index . 0 }}
{{- $own := include "orcacache-cluster.ownLabels" $root | fromYaml }}
{{- mergeOverwrite $own (deepCopy $root.Values.commonLabels) (deepCopy (index . 1)) | toYaml }}
{{- end }}

{{/* Names of the caches that are not null, as a YAML list. */}}
{{- define "orcacache-cluster.names" -}}
{{- $names := list }}
{{- range $name, $cache := .Values.caches }}
{{- if $cache }}
{{- $names = append $names $name }}
{{- end }}
{{- end }}
{{- toYaml $names }}
{{- end }}

{{/* Spec of a cache, merged with the defaults, as YAML: (list . cache) */}}
{{- define "orcacache-cluster.spec" -}}
{{- $root := index . 0 }}
{{- $cache := index . 1 }}
{{- mergeOverwrite (deepCopy $root.Values.defaults) (deepCopy $cache.spec) | toYaml }}
{{- end }}

{{/* URL of a cache inside the cluster: (list . name cache) */}}
{{- define "orcacache-cluster.endpoint" -}}
{{- $root := index . 0 }}
{{- $spec := include "orcacache-cluster.spec" (list $root (index . 2)) | fromYaml }}
{{- $edge := default dict $spec.edge }}
{{- $port := default (ternary 443 80 (hasKey $edge "tls")) (default dict $edge.service).port }}
{{- printf "%s://%s.%s.svc:%d" (ternary "https" "http" (hasKey $edge "tls")) (index . 1) $root.Release.Namespace (int $port) }}
{{- end }}

{{- define "orcacache-cluster.testImage" -}}
{{- $image := .Values.tests.image }}
{{- $name := ternary $image.repository (printf "%s/%s" $image.registry $image.repository) (empty $image.registry) }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}
