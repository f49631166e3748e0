/** The CRD as YAML: one to apply by hand, one as a template of the chart that can be left out or kept. */
import { stringify } from 'yaml';
import { customResourceDefinition } from '#crds/crd.ts';

const LINE_WIDTH = 120;
const HEADER = '# Generated from crds/ by hack/gen.ts: change that, then run npm run gen.\n';

export function crdYaml(): string {
  return HEADER + toYaml(customResourceDefinition());
}

export function chartCrd(): string {
  const { metadata, ...rest } = customResourceDefinition();
  const body = toYaml(rest);
  if (body.includes('{{')) throw new Error('a description holds {{, which the chart would take for a template');
  const [apiVersionAndKind, spec] = cut(body, 'spec:\n');
  return `${HEADER}{{- if .Values.crds.install }}
${apiVersionAndKind}metadata:
  name: ${metadata.name}
  labels:
    {{- include "orcacache.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    # Uninstalling the operator must not delete every cache of the cluster.
    helm.sh/resource-policy: keep
  {{- end }}
${spec}{{- end }}
`;
}

function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: LINE_WIDTH, aliasDuplicateObjects: false });
}

function cut(text: string, at: string): readonly [string, string] {
  const index = text.indexOf(`\n${at}`) + 1;
  return [text.slice(0, index), text.slice(index)];
}
