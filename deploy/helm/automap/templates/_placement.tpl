{{/* Where pods may run, and how they are labelled: what all have, and what a service adds. */}}

{{/* Labels of a pod beside those of its object: root, values of its role where it has one. Those of the role win. */}}
{{- define "automap.podLabels" -}}
{{- with merge (dict) (dig "podLabels" dict (.values | default dict)) .root.Values.podLabels }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Where a pod may run: root, values of its role where it has one. */}}
{{- define "automap.placement" -}}
{{- $values := .values | default dict }}
{{- with merge (dict) (dig "nodeSelector" dict $values) .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .root.Values.tolerations (dig "tolerations" list $values) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
