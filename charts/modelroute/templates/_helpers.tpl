{{- define "modelroute.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "modelroute.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "modelroute.labels" -}}
{{ include "modelroute.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: modelroute
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "modelroute.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "modelroute.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "modelroute.imageMissing" -}}
image.repository is needed, because no image of modelroute is published: build one from this repository with `make image IMAGE=<your registry>/modelroute:{{ .Chart.AppVersion }}` and push it (`make release REGISTRY=<your registry>` does both), then set image.repository=<your registry>/modelroute
{{- end }}

{{- define "modelroute.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required (include "modelroute.imageMissing" .) $image.repository -}}
{{- $where := ternary $repository (printf "%s/%s" $image.registry $repository) (empty $image.registry) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $where $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $where (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end }}

{{- define "modelroute.leaseNamespace" -}}
{{- default .Release.Namespace .Values.leaderElection.namespace -}}
{{- end }}

{{- define "modelroute.leaseName" -}}
{{- default (include "modelroute.fullname" .) .Values.leaderElection.name -}}
{{- end }}

{{/* Where the operator answers, as its configuration says; 0: it serves no metrics. */}}
{{- define "modelroute.metricsPort" -}}
{{- dig "telemetry" "metrics" "port" 8080 .Values.config | int -}}
{{- end }}

{{- define "modelroute.healthPort" -}}
{{- dig "telemetry" "health" "port" 8081 .Values.config | int -}}
{{- end }}

{{/* The labels that the Prometheus Operator gives to what this release's monitor finds; nothing where it has none. */}}
{{- define "modelroute.scrapedAs" -}}
{{- if .Values.metrics.podMonitor.enabled -}}
job="{{ .Release.Namespace }}/{{ include "modelroute.fullname" . }}"
{{- else if .Values.metrics.serviceMonitor.enabled -}}
job="{{ include "modelroute.fullname" . }}-metrics", namespace="{{ .Release.Namespace }}"
{{- end -}}
{{- end }}

{{/* The operator's configuration file. */}}
{{- define "modelroute.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.watch.namespaces -}}
{{- $_ := set $config "namespaces" .Values.watch.namespaces -}}
{{- end -}}
{{- if .Values.leaderElection.enabled -}}
{{- $place := dict "namespace" (include "modelroute.leaseNamespace" .) "name" (include "modelroute.leaseName" .) -}}
{{- $_ := set $config "leaderElection" (merge $place .Values.leaderElection) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* The rules of files/clusterrole.yaml, the one place where the operator's rights are written. */}}
{{- define "modelroute.rules" -}}
{{- $role := .Files.Get "files/clusterrole.yaml" | fromYaml -}}
{{- toYaml (required "files/clusterrole.yaml has no rules" $role.rules) -}}
{{- end }}

{{/* The rules of files/lease-role.yaml, for the Lease of this release. */}}
{{- define "modelroute.leaseRules" -}}
{{- $role := .Files.Get "files/lease-role.yaml" | fromYaml -}}
{{- range $rule := required "files/lease-role.yaml has no rules" $role.rules -}}
{{- if $rule.resourceNames -}}
{{- $_ := set $rule "resourceNames" (list (include "modelroute.leaseName" $)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $role.rules -}}
{{- end }}

{{- define "modelroute.subject" -}}
- kind: ServiceAccount
  name: {{ include "modelroute.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
