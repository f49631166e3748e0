/** The operator and its CRDs as one file for `kubectl apply`, rendered from the chart of the release. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export const NAMESPACE = 'orcacache-system';
/** Both CRDs are 120 KiB. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const HEADER = `# The OrcaCache operator and its CRDs: kubectl apply -f install.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: ${NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
`;

/** `chart`: the archive. */
export async function installManifest(chart: string): Promise<string> {
  const args = ['template', 'orcacache', chart, '--namespace', NAMESPACE, '--skip-tests'];
  const { stdout } = await promisify(execFile)('helm', args, { maxBuffer: MAX_OUTPUT_BYTES });
  return HEADER + withoutHelm(stdout);
}

/** Nothing that is applied by kubectl belongs to a release of Helm. */
export function withoutHelm(rendered: string): string {
  return rendered
    .replaceAll(/^( +app\.kubernetes\.io\/managed-by:) Helm$/gm, '$1 kubectl')
    .replaceAll(/^ +helm\.sh\/chart: .*\n/gm, '');
}
