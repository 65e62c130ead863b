{{/* What the pods of `helm test` have in common: root, role, name. */}}
{{- define "automap.testPod" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "automap.fullname" .root }}-test-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "automap.labels" . | nindent 4 }}
    {{- with include "automap.podLabels" (dict "root" .root) }}
    {{- . | nindent 4 }}
    {{- end }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
    checkov.io/skip1: CKV_K8S_8=it ends by itself
    checkov.io/skip2: CKV_K8S_9=nobody calls it
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- include "automap.podSecurity" .root | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "automap.placement" (dict "root" .root) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}
