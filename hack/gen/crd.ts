/** Generates a CRD as YAML: as a plain manifest, and as a chart template with `crds.install` and `crds.keep`. */
import { stringify } from 'yaml';
import { customResourceDefinition } from '#crds/crd.ts';
import type { Definition } from '#crds/definition.ts';

const LINE_WIDTH = 120;
const HEADER = '# Generated from crds/ by hack/gen.ts. Do not edit: change crds/ and run npm run gen.\n';

export function crdYaml(definition: Definition): string {
  return HEADER + toYaml(customResourceDefinition(definition));
}

export function chartCrd(definition: Definition): string {
  const { metadata, ...rest } = customResourceDefinition(definition);
  const body = toYaml(rest);
  if (body.includes('{{')) throw new Error('a description contains {{, which helm would parse as a template');
  const [apiVersionAndKind, spec] = splitBefore(body, 'spec:\n');
  return `${HEADER}{{- if .Values.crds.install }}
${apiVersionAndKind}metadata:
  name: ${metadata.name}
  labels:
    {{- include "orcacache.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    # Uninstalling the operator must not delete every ${definition.names.kind} in the cluster.
    helm.sh/resource-policy: keep
  {{- end }}
${spec}{{- end }}
`;
}

function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: LINE_WIDTH, aliasDuplicateObjects: false });
}

/** Splits `text` before the first line that begins with `line`. */
function splitBefore(text: string, line: string): readonly [string, string] {
  const index = text.indexOf(`\n${line}`) + 1;
  return [text.slice(0, index), text.slice(index)];
}
