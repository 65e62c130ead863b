{{/* Names and labels. A role is written as in the configuration file: collector, graph-builder, profiler, walker. */}}
{{- define "automap.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "automap.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "automap.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "automap.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Arguments of these: root, role. */}}
{{- define "automap.roleName" -}}
{{ include "automap.fullname" .root }}-{{ .role }}
{{- end }}

{{- define "automap.selector" -}}
app.kubernetes.io/name: {{ include "automap.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "automap.labels" -}}
{{ include "automap.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: automap
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "automap.metadata" -}}
name: {{ include "automap.roleName" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "automap.labels" . | nindent 2 }}
{{- end }}

{{- define "automap.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- define "automap.port" -}}
{{- get (dict "walker" 4310 "collector" 4311 "graph-builder" 4312 "profiler" 4313) . -}}
{{- end }}

{{- define "automap.adminPort" -}}
4390
{{- end }}

{{/* Of the walker's page and of its webhook for alerts. */}}
{{- define "automap.httpPort" -}}
4314
{{- end }}

{{/* The values of a role. */}}
{{- define "automap.valuesKey" -}}
{{- ternary "graphBuilder" . (eq . "graph-builder") -}}
{{- end }}

{{- define "automap.grpcService" -}}
{{- get (dict "walker" "WalkerService" "collector" "CollectorService" "graph-builder" "GraphBuilderService" "profiler" "ProfilerService") . | printf "automap.v1.%s" -}}
{{- end }}

{{/* Where one service reaches another: root, role. */}}
{{- define "automap.url" -}}
{{ ternary "https" "http" .root.Values.tls.enabled }}://{{ include "automap.roleName" . }}.{{ .root.Release.Namespace }}.svc:{{ include "automap.port" .role }}
{{- end }}

{{/* The Secret with the certificate of a role or of a caller: root, role. */}}
{{- define "automap.tlsSecret" -}}
{{- if .root.Values.tls.certManager.enabled -}}
{{ include "automap.roleName" . }}-tls
{{- else -}}
{{- $key := include "automap.valuesKey" .role -}}
{{ required (printf "tls.secrets.%s: name the Secret with its certificate, or set tls.certManager.enabled" $key) (get .root.Values.tls.secrets $key) }}
{{- end }}
{{- end }}
