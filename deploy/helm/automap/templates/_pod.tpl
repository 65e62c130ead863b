{{/* What the pods of all roles have in common. Arguments: root, role. */}}

{{/* Ids that are left out are given by the cluster. Argument: root. */}}
{{- define "automap.podSecurity" -}}
runAsNonRoot: true
{{- range $id := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- with get ($.Values.podSecurity | default dict) $id }}
{{ $id }}: {{ int64 . }}
{{- end }}
{{- end }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "automap.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- with (.Values.podSecurity | default dict).runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
capabilities:
  drop: [ALL]
{{- end }}

{{/* The kubelet's gRPC probe speaks no TLS. */}}
{{- define "automap.probes" -}}
{{- $service := include "automap.grpcService" .role }}
{{- $secure := .root.Values.tls.enabled }}
startupProbe:
  {{- if $secure }}
  httpGet: {path: /readyz, port: admin}
  {{- else }}
  grpc: {port: {{ include "automap.port" .role }}, service: {{ $service }}}
  {{- end }}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ ternary 150 30 (eq .role "profiler") }}
readinessProbe:
  {{- if $secure }}
  httpGet: {path: /readyz, port: admin}
  {{- else }}
  grpc: {port: {{ include "automap.port" .role }}, service: {{ $service }}}
  {{- end }}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 3
livenessProbe:
  {{- if $secure }}
  httpGet: {path: /healthz, port: admin}
  {{- else }}
  grpc: {port: {{ include "automap.port" .role }}}
  {{- end }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* Secrets whose keys become files in a directory below /etc/automap, by that directory: root, role. */}}
{{- define "automap.secretFiles" -}}
{{- if eq .role "collector" }}
{{- with .root.Values.collector.sourceSecretName }}
source: {{ . }}
{{- end }}
{{- end }}
{{- if eq .role "walker" }}
{{- with .root.Values.walker.access.tokensSecretName }}
access: {{ . }}
{{- end }}
{{- with .root.Values.walker.sinkSecretName }}
sinks: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "automap.podTemplate" -}}
{{- $root := .root }}
{{- $role := .role }}
{{- $values := get $root.Values (include "automap.valuesKey" $role) }}
{{- $preStop := include "automap.preStopSeconds" $root | int }}
metadata:
  labels:
    {{- include "automap.labels" . | nindent 4 }}
    {{- with include "automap.podLabels" (dict "root" $root "values" $values) }}
    {{- . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "automap.toml" . | sha256sum }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "automap.roleName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # The drain of {{ include "automap.drainSeconds" . }} s, what comes before it, and ten to end.
  terminationGracePeriodSeconds: {{ add (include "automap.drainSeconds" . | int) $preStop 10 }}
  securityContext:
    {{- include "automap.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with include "automap.placement" (dict "root" $root "values" $values) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if and $root.Values.topologySpread.enabled (ne $role "profiler") }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $root.Values.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "automap.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  containers:
    - name: {{ $role }}
      image: {{ include "automap.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [serve, {{ $role }}, --config, /etc/automap/automap.toml, --log-format, {{ $root.Values.log.format }}]
      env:
        - name: AUTOMAP_LOG
          value: {{ $root.Values.log.filter | quote }}
        {{- with $root.Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: grpc, containerPort: {{ include "automap.port" $role }}, protocol: TCP}
        - {name: admin, containerPort: {{ include "automap.adminPort" . }}, protocol: TCP}
        {{- if and (eq $role "walker") $values.http.enabled }}
        - {name: http, containerPort: {{ include "automap.httpPort" . }}, protocol: TCP}
        {{- end }}
      {{- include "automap.probes" . | nindent 6 }}
      {{- if $preStop }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ $preStop }}}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "automap.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/automap/automap.toml, subPath: automap.toml, readOnly: true}
        {{- if $root.Values.tls.enabled }}
        - {name: tls, mountPath: /etc/automap/tls, readOnly: true}
        {{- end }}
        {{- range $name, $secret := include "automap.secretFiles" . | fromYaml }}
        - {name: {{ $name }}, mountPath: /etc/automap/{{ $name }}, readOnly: true}
        {{- end }}
        {{- if eq $role "profiler" }}
        - {name: data, mountPath: /var/lib/automap}
        {{- if $root.Values.profiler.backup.enabled }}
        - {name: exports, mountPath: /var/lib/automap-exports}
        {{- end }}
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "automap.roleName" . }}
    {{- if $root.Values.tls.enabled }}
    - name: tls
      secret:
        secretName: {{ include "automap.tlsSecret" . }}
        defaultMode: 0440
    {{- end }}
    {{- range $name, $secret := include "automap.secretFiles" . | fromYaml }}
    - name: {{ $name }}
      secret:
        secretName: {{ $secret }}
        defaultMode: 0440
    {{- end }}
    {{- if and (eq $role "profiler") (not $root.Values.profiler.persistence.enabled) }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- if and (eq $role "profiler") $root.Values.profiler.backup.enabled }}
    - name: exports
      persistentVolumeClaim:
        claimName: {{ include "automap.exportsClaim" $root }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* A role without state. */}}
{{- define "automap.deployment" -}}
{{- $values := get .root.Values (include "automap.valuesKey" .role) }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "automap.metadata" . | nindent 2 }}
spec:
  {{- if not (dig "autoscaling" "enabled" false $values) }}
  replicas: {{ $values.replicaCount }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "automap.selector" . | nindent 6 }}
  template:
    {{- include "automap.podTemplate" . | nindent 4 }}
{{- end }}

{{/* What a volume claim of the profiler asks for: values, accessModes. */}}
{{- define "automap.claimSpec" -}}
accessModes: {{ toJson .accessModes }}
{{- with .values.storageClassName }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .values.size }}
{{- end }}

{{/* The claim of the profiler's exports. */}}
{{- define "automap.exportsClaim" -}}
{{ include "automap.roleName" (dict "root" . "role" "profiler") }}-exports
{{- end }}
