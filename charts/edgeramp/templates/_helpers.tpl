{{/* The release's name: it names everything, so that two releases do not meet. */}}
{{- define "edgeramp.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "edgeramp.selector" -}}
app.kubernetes.io/name: edgeramp
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "edgeramp.labels" -}}
{{ include "edgeramp.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "edgeramp.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "edgeramp.name" .) -}}
{{- end -}}

{{/* The reference of one image: include "edgeramp.image" (list . "operator") */}}
{{- define "edgeramp.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $made := printf "edgeramp/%s:%s" $name ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- if $root.Values.image.registry -}}
{{- $made = printf "%s/%s" $root.Values.image.registry $made -}}
{{- end -}}
{{- index $root.Values.images $name | default $made -}}
{{- end -}}

{{/* imagePullSecrets of a pod in the operator's namespace; empty where none are named. */}}
{{- define "edgeramp.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The operator's PriorityClass; empty: the cluster's default. */}}
{{- define "edgeramp.operatorPriority" -}}
{{- $made := ternary (printf "%s-operator" (include "edgeramp.name" .)) "" .Values.operator.priorityClass.create -}}
{{- .Values.operator.priorityClassName | default $made -}}
{{- end -}}

{{/* The Jobs' PriorityClass; empty: the cluster's default. */}}
{{- define "edgeramp.jobPriority" -}}
{{- $made := ternary (printf "%s-jobs" (include "edgeramp.name" .)) "" .Values.jobs.priorityClass.create -}}
{{- .Values.jobs.priorityClassName | default $made -}}
{{- end -}}

{{/* topologySpreadConstraints of the operator, each with a labelSelector; without any, replicas avoid one node. */}}
{{- define "edgeramp.spread" -}}
{{- $labels := merge (dict "app.kubernetes.io/component" "operator") (fromYaml (include "edgeramp.selector" .)) -}}
{{- $soft := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" -}}
{{- $default := ternary (list $soft) list (gt (int .Values.operator.replicas) 1) -}}
{{- $made := list -}}
{{- range $constraint := .Values.operator.topologySpreadConstraints | default $default -}}
{{- $ours := ternary dict (dict "labelSelector" (dict "matchLabels" $labels)) (hasKey $constraint "labelSelector") -}}
{{- $made = append $made (merge (deepCopy $constraint) $ours) -}}
{{- end -}}
{{- if $made -}}
{{- toYaml $made -}}
{{- end -}}
{{- end -}}

{{- define "edgeramp.storeHost" -}}
{{- if .Values.store.enabled -}}
{{- .Values.store.host | default (printf "%s-store.%s.svc:5000" (include "edgeramp.name" .) .Release.Namespace) -}}
{{- else -}}
{{- required "store.host must name an OCI registry (host:port) when store.enabled is false" .Values.store.host -}}
{{- end -}}
{{- end -}}

{{- define "edgeramp.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "edgeramp.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The operator's environment: operator/edgeramp/entry/settings.py describes each variable. */}}
{{- define "edgeramp.environment" -}}
EDGERAMP_NAMESPACE: {{ .Release.Namespace | quote }}
{{- $images := dict }}
{{- range $name := list "courier" "onnxruntime" "openvino" "llama-cpp" "server-onnxruntime" "server-openvino" }}
{{- $_ := set $images $name (include "edgeramp.image" (list $ $name)) }}
{{- end }}
{{- range $name, $ref := .Values.images }}
{{- if and $ref (not (has $name (list "operator" "store"))) }}
{{- $_ := set $images $name $ref }}
{{- end }}
{{- end }}
EDGERAMP_IMAGES: {{ $images | toJson | quote }}
EDGERAMP_IMAGE_PULL_POLICY: {{ .Values.image.pullPolicy | quote }}
EDGERAMP_IMAGE_PULL_SECRETS: {{ join " " .Values.image.pullSecrets | quote }}
EDGERAMP_STORE_HOST: {{ include "edgeramp.storeHost" . | quote }}
EDGERAMP_STORE_PLAIN_HTTP: {{ .Values.store.plainHTTP | quote }}
EDGERAMP_SIGNING_SECRET: {{ .Values.signing.secretName | quote }}
EDGERAMP_CERTIFICATE_DAYS: {{ .Values.signing.certificateDays | toString | quote }}
EDGERAMP_PUBLIC_KEYS_DIR: /etc/edgeramp/public-keys
EDGERAMP_GATEWAY_NAMESPACE: {{ .Values.gateway.namespace | quote }}
EDGERAMP_CHECK_HOSTS: {{ join " " .Values.checks.hosts | quote }}
EDGERAMP_GATEWAY_METRICS_PORT: {{ .Values.gateway.metricsPort | toString | quote }}
EDGERAMP_JOB_DEADLINE_SECONDS: {{ .Values.jobs.deadlineSeconds | int | quote }}
EDGERAMP_JOB_TTL_SECONDS: {{ .Values.jobs.ttlSeconds | int | quote }}
EDGERAMP_MAX_ATTEMPTS: {{ .Values.jobs.maxAttempts | int | quote }}
EDGERAMP_JOB_MEMORY: {{ .Values.jobs.memory | quote }}
EDGERAMP_JOB_PRIORITY_CLASS: {{ include "edgeramp.jobPriority" . | quote }}
EDGERAMP_WORKERS: {{ .Values.operator.workers | int | quote }}
EDGERAMP_LOG_LEVEL: {{ .Values.operator.log.level | quote }}
EDGERAMP_LOG_FORMAT: {{ .Values.operator.log.format | quote }}
EDGERAMP_PORT: "8080"
{{- end -}}
