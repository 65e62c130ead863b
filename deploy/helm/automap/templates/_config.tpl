{{/* The configuration file of a role: what the values say, and what the chart must set itself. */}}

{{/* What the chart sets: root, role. */}}
{{- define "automap.ownConfig" -}}
server:
  listen: {{ printf "%s:%s" .root.Values.listenAddress (include "automap.port" .role) | quote }}
  admin-listen: {{ printf "%s:%s" .root.Values.listenAddress (include "automap.adminPort" .) | quote }}
{{- if .root.Values.tls.enabled }}
  tls:
    certificate: /etc/automap/tls/tls.crt
    key: /etc/automap/tls/tls.key
    {{- if .root.Values.tls.clientCertificates }}
    client-ca: /etc/automap/tls/ca.crt
    {{- end }}
{{- end }}
{{- if eq .role "walker" }}
{{- with include "automap.ownAccess" .root }}
  access:
    {{- . | trim | nindent 4 }}
{{- end }}
collector: {{ include "automap.url" (dict "root" .root "role" "collector") }}
graph-builder: {{ include "automap.url" (dict "root" .root "role" "graph-builder") }}
profiler: {{ include "automap.url" (dict "root" .root "role" "profiler") }}
{{- if .root.Values.walker.http.enabled }}
http:
  listen: {{ printf "%s:%s" .root.Values.listenAddress (include "automap.httpPort" .) | quote }}
  {{- with include "automap.externalUrl" .root }}
  external-url: {{ . }}
  {{- end }}
  {{- if .root.Values.tls.enabled }}
  tls:
    # Browsers and Alertmanager have no certificate of their own.
    certificate: /etc/automap/tls/tls.crt
    key: /etc/automap/tls/tls.key
  {{- end }}
{{- end }}
{{- end }}
{{- if eq .role "graph-builder" }}
# One of them is the pod itself, which knows it.
peers: {{ include "automap.url" . }}
{{- end }}
{{- if and .root.Values.tls.enabled (has .role (list "walker" "graph-builder")) }}
client:
  tls:
    ca: /etc/automap/tls/ca.crt
    certificate: /etc/automap/tls/tls.crt
    key: /etc/automap/tls/tls.key
{{- end }}
{{- if eq .role "profiler" }}
path: /var/lib/automap/store
{{- if .root.Values.profiler.backup.enabled }}
schedule:
  export-directory: /var/lib/automap-exports
{{- end }}
{{- end }}
{{- end }}

{{/* What callers of the walker may do who prove nothing; empty where they must prove who they are. */}}
{{- define "automap.anonymousRole" -}}
{{- if .Values.walker.access.anonymous }}
{{- .Values.walker.access.anonymous }}
{{- else if not (or .Values.walker.access.tokensSecretName (and .Values.tls.enabled .Values.tls.clientCertificates)) }}
{{- "diagnose" }}
{{- end }}
{{- end }}

{{/* What the chart sets of `walker.server.access`. */}}
{{- define "automap.ownAccess" -}}
{{- if .Values.walker.access.tokensSecretName }}
tokens: /etc/automap/access/tokens.toml
{{- end }}
{{- with include "automap.anonymousRole" . }}
anonymous: {{ . }}
{{- end }}
{{- end }}

{{/* The Secret with the token of a caller, where one must show one. */}}
{{- define "automap.callerToken" -}}
{{- if and .Values.walker.access.tokensSecretName (not (has .Values.walker.access.anonymous (list "diagnose" "confirm" "admin"))) }}
{{- required "walker.access.callerTokenSecretName: name a Secret whose `token` may diagnose, which `helm test` shows" .Values.walker.access.callerTokenSecretName }}
{{- end }}
{{- end }}

{{/* How people reach the page, where that is known. */}}
{{- define "automap.externalUrl" -}}
{{- with .Values.walker.http }}
{{- if .externalUrl -}}
{{ .externalUrl }}
{{- else if and .ingress.enabled .ingress.host -}}
{{ ternary "https" "http" (ne .ingress.tlsSecretName "") }}://{{ .ingress.host }}
{{- end }}
{{- end }}
{{- end }}

{{/* Refuses values that the chart would overwrite: own, given, path. */}}
{{- define "automap.refuseOwn" -}}
{{- range $key, $own := .own }}
{{- if hasKey $.given $key }}
{{- $path := printf "%s.%s" $.path $key }}
{{- $given := get $.given $key }}
{{- if and (kindIs "map" $own) (kindIs "map" $given) }}
{{- include "automap.refuseOwn" (dict "own" $own "given" $given "path" $path) }}
{{- else }}
{{- fail (printf "%s: the chart sets this itself; remove it from the values" $path) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Settings as lines of TOML with dotted keys: settings, prefix. */}}
{{- define "automap.tomlLines" -}}
{{- range $key, $value := .settings }}
{{- $path := printf "%s%s" $.prefix (ternary $key (toJson $key) (regexMatch "^[A-Za-z0-9_-]+$" $key)) }}
{{- if kindIs "map" $value }}
{{- include "automap.tomlLines" (dict "settings" $value "prefix" (printf "%s." $path)) }}
{{- else if not (kindIs "invalid" $value) }}
{{ $path }} = {{ include "automap.tomlValue" $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* A value as TOML on one line. JSON's strings, numbers, booleans and lists are TOML's; tables are not. */}}
{{- define "automap.tomlValue" -}}
{{- if kindIs "slice" . -}}
[{{ range $index, $value := . }}{{ if $index }}, {{ end }}{{ include "automap.tomlValue" $value }}{{ end }}]
{{- else if kindIs "map" . -}}
{ {{- range $index, $key := keys . | sortAlpha }}{{ if $index }},{{ end }} {{ toJson $key }} = {{ include "automap.tomlValue" (get $ $key) }}{{ end }} }
{{- else -}}
{{ toJson . }}
{{- end }}
{{- end }}

{{/* The file: root, role. */}}
{{- define "automap.toml" -}}
{{- $key := include "automap.valuesKey" .role }}
{{- $given := (get .root.Values $key).config }}
{{- $own := include "automap.ownConfig" . | fromYaml }}
{{- include "automap.refuseOwn" (dict "own" $own "given" $given "path" (printf "%s.config" $key)) }}
{{- $settings := mergeOverwrite (deepCopy $given) $own }}
{{- if and (eq .role "walker") .root.Values.dashboards.enabled (not (hasKey $given "newest-diagnoses")) }}
{{- /* One of the dashboards shows them. */}}
{{- $settings = set $settings "newest-diagnoses" 20 }}
{{- end -}}
[{{ .role }}]
{{- include "automap.tomlLines" (dict "settings" $settings "prefix" "") }}
{{- end }}

{{/* Seconds that calls may go on after SIGTERM, as automap itself defaults: root, role. */}}
{{- define "automap.drainSeconds" -}}
{{- $config := (get .root.Values (include "automap.valuesKey" .role)).config }}
{{- dig "server" "drain-seconds" 20 $config | int }}
{{- end }}

{{- define "automap.preStopSeconds" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}{{ .Values.preStopSleepSeconds | int }}{{ else }}0{{ end }}
{{- end }}
