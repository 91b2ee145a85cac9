{{/* Names, labels and the parts that several pods share. */}}

{{- define "baton.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough that StatefulSets can add -worker-NAME-0 and a revision. */}}
{{- define "baton.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 24 | trimSuffix "-" -}}
{{- else if contains (include "baton.name" .) .Release.Name -}}
{{- .Release.Name | trunc 24 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "baton.name" .) | trunc 24 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a Deployment or StatefulSet selects by; it can never change. Pods have no other labels of
the chart's: a new version of the chart alone starts nothing anew. Takes {root, component}. */}}
{{- define "baton.selector" -}}
app.kubernetes.io/name: {{ include "baton.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "baton.labels" -}}
{{ include "baton.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Takes {root, image}. */}}
{{- define "baton.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "baton.storeSecret" -}}
{{- required "store.existingSecret: name a Secret with the address of PostgreSQL (key url) and its password" .Values.store.existingSecret -}}
{{- end -}}

{{/* The store, by Secret. */}}
{{- define "baton.storeAddress" -}}
- name: BATON_STORE
  valueFrom: {secretKeyRef: {name: {{ include "baton.storeSecret" . }}, key: {{ .Values.store.urlKey }}}}
{{- with .Values.store.passwordKey }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "baton.storeSecret" $ }}, key: {{ . }}}}
{{- end }}
{{- end -}}

{{/* The same for those who keep sessions: not migrations. */}}
{{- define "baton.storeEnv" -}}
{{ include "baton.storeAddress" . }}
{{- with .Values.store.directKey }}
- name: BATON_STORE_DIRECT
  valueFrom: {secretKeyRef: {name: {{ include "baton.storeSecret" $ }}, key: {{ . }}}}
{{- end }}
{{- end -}}

{{/* An address with a password comes by Secret; others are a flag, see baton.nodeArgs. */}}
{{- define "baton.registryEnv" -}}
{{- if .Values.registry.existingSecret }}
- name: BATON_REGISTRY
  valueFrom: {secretKeyRef: {name: {{ .Values.registry.existingSecret }}, key: {{ .Values.registry.key }}}}
{{- end }}
{{- end -}}

{{/* The first of the pods' own facts: later variables and arguments may name it. */}}
{{- define "baton.podEnv" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end -}}

{{- define "baton.tlsArgs" -}}
{{- if .Values.tls.enabled }}
- --tls-cert=/etc/baton/tls/tls.crt
- --tls-key=/etc/baton/tls/tls.key
- --tls-ca=/etc/baton/tls/ca.crt
{{- end }}
{{- end -}}

{{/* Arguments of masters and API alike. */}}
{{- define "baton.nodeArgs" -}}
- --name=$(POD_NAME)
- --admin-listen=:7079
{{- if not .Values.registry.existingSecret }}
- --registry={{ .Values.registry.url }}
{{- end }}
- --log-level={{ .Values.logLevel }}
- --log-format=json
{{- include "baton.tlsArgs" . }}
{{- end -}}

{{- define "baton.tlsMount" -}}
{{- if .Values.tls.enabled }}
- {name: tls, mountPath: /etc/baton/tls, readOnly: true}
{{- end }}
{{- end -}}

{{/* Takes {root, secret}. */}}
{{- define "baton.tlsVolume" -}}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ required "tls.existingSecret: name a Secret with tls.crt, tls.key and ca.crt" .secret }}
    # For the group of the pod.
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* Alive as long as the process answers; the store being away is no reason to end it. */}}
{{- define "baton.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 2
  # It waits for the store and for its schema.
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* Where pods go. Takes {root, pod, component}. */}}
{{- define "baton.placing" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- if .pod.topologySpreadConstraints }}
{{ toYaml .pod.topologySpreadConstraints | indent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "baton.selector" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* One pod at a time. Takes {root, component, replicas}. */}}
{{- define "baton.disruption" -}}
{{- if and .root.Values.podDisruptionBudget.enabled (gt (int .replicas) 1) }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "baton.fullname" .root }}-{{ .component }}
  labels: {{ include "baton.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{ include "baton.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "baton.masterService" -}}
{{ include "baton.fullname" . }}-master
{{- end -}}

{{/* Any master tells a worker of the others. One name, whatever their number: workers are not started
anew when that changes. */}}
{{- define "baton.masters" -}}
master://{{ include "baton.masterService" . }}.{{ .Release.Namespace }}.svc:7078
{{- end -}}
