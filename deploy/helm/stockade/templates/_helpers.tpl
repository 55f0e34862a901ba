{{- define "stockade.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "stockade.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "stockade.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "stockade.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "stockade.selectorLabels" -}}
app.kubernetes.io/name: {{ include "stockade.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "stockade.labels" -}}
{{ include "stockade.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "stockade.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "stockade.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "stockade.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ . }}/{{ end -}}
{{- .repository -}}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* Each of these is "true" or empty. */ -}}

{{- define "stockade.privileged" -}}
{{- if kindIs "bool" .Values.privileged -}}
{{- if .Values.privileged }}true{{ end -}}
{{- else if eq .Values.mode "enforce" }}true{{ end -}}
{{- end -}}

{{- define "stockade.hasWebConfig" -}}
{{- if or .Values.web.config .Values.web.existingSecret }}true{{ end -}}
{{- end -}}

{{- define "stockade.webTls" -}}
{{- if .Values.web.config -}}
{{- if .Values.web.config.tls_server_config }}true{{ end -}}
{{- else if and .Values.web.existingSecret .Values.web.existing.tls }}true{{ end -}}
{{- end -}}

{{- /* Whether who connects has to say who it is, which the kubelet's probes cannot. */ -}}
{{- define "stockade.webAuthenticated" -}}
{{- if .Values.web.config -}}
{{- $type := dig "tls_server_config" "client_auth_type" "NoClientCert" .Values.web.config -}}
{{- if or .Values.web.config.basic_auth_users (hasPrefix "Require" $type) }}true{{ end -}}
{{- else if and .Values.web.existingSecret .Values.web.existing.authenticated }}true{{ end -}}
{{- end -}}

{{- /* Whether it listens where nobody but the node itself can connect. */ -}}
{{- define "stockade.loopback" -}}
{{- if or (hasPrefix "127." .Values.web.address) (eq .Values.web.address "[::1]") }}true{{ end -}}
{{- end -}}

{{- /* What stockade.yaml says: the values' config, with the keys that are the chart's own. */ -}}
{{- define "stockade.config" -}}
{{- $mode := ternary "observe" .Values.mode (eq .Values.mode "watch") -}}
{{- $safety := merge (dict "mode" $mode "journal" "/var/lib/stockade/journal") (default dict .Values.config.safety) -}}
{{- toYaml (merge (dict "safety" $safety) (deepCopy .Values.config)) -}}
{{- end -}}

{{- /* The kubelet asks the pod's address, which is not where a pod with the node's network has to listen. */ -}}
{{- define "stockade.probeHost" -}}
{{- if and .Values.hostNetwork (not (has .Values.web.address (list "" "0.0.0.0" "[::]"))) -}}
host: {{ trimAll "[]" .Values.web.address | quote }}
{{- end -}}
{{- end -}}

{{- define "stockade.probe" -}}
{{- $kind := .root.Values.probes.kind -}}
{{- if eq $kind "auto" -}}
{{- $kind = ternary "tcp" "http" (eq (include "stockade.webAuthenticated" .root) "true") -}}
{{- end -}}
{{- if eq $kind "tcp" -}}
tcpSocket:
  port: http
  {{- with include "stockade.probeHost" .root }}
  {{ . }}
  {{- end }}
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http
  {{- with include "stockade.probeHost" .root }}
  {{ . }}
  {{- end }}
  scheme: {{ ternary "HTTPS" "HTTP" (eq (include "stockade.webTls" .root) "true") }}
{{- end }}
periodSeconds: {{ int64 .root.Values.probes.periodSeconds }}
timeoutSeconds: {{ .root.Values.probes.timeoutSeconds }}
failureThreshold: {{ .root.Values.probes.failureThreshold }}
{{- end -}}

{{- /* An endpoint of a ServiceMonitor or a PodMonitor. */ -}}
{{- define "stockade.endpoint" -}}
port: http
path: {{ .root.Values.web.telemetryPath }}
scheme: {{ default (ternary "https" "http" (eq (include "stockade.webTls" .root) "true")) .monitor.scheme }}
interval: {{ .monitor.interval }}
scrapeTimeout: {{ .monitor.scrapeTimeout }}
{{- range $key := list "tlsConfig" "basicAuth" "relabelings" "metricRelabelings" }}
{{- with get $.monitor $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
