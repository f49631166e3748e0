/** Runs helm and parses the manifests that it renders. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
/** Large enough for a rendered CRD and a dashboard. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** One render takes a tenth of a second. */
const TIMEOUT_MS = 30_000;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [member: string]: unknown;
}

/** Arguments that simulate a cluster with the Prometheus operator. */
export const MONITORING = ['ServiceMonitor', 'PodMonitor', 'PrometheusRule'].flatMap((kind) => [
  '--api-versions',
  `monitoring.coreos.com/v1/${kind}`,
]);

export async function helm(...args: readonly string[]): Promise<string> {
  return (await run('helm', args, { maxBuffer: MAX_OUTPUT_BYTES, timeout: TIMEOUT_MS })).stdout;
}

/** The stderr of a command that failed; empty if it succeeded. */
export async function stderrOf(command: Promise<string>): Promise<string> {
  return command.then(
    () => '',
    (error: unknown) => (error as { readonly stderr: string }).stderr,
  );
}

/** Some versions of helm leave an empty line between documents, and others do not. */
export async function template(chart: string, ...args: readonly string[]): Promise<string> {
  const rendered = await helm('template', 'orca', chart, '--namespace', 'orca-system', ...args);
  return rendered.replace(/\n\n(?=---\n)/g, '\n');
}

export function manifests(rendered: string): Manifest[] {
  return parseAllDocuments(rendered)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** Writes values to a temporary file, as JSON because YAML versions disagree about `yes`. Deleted after the test. */
export async function valuesFile(values: unknown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'values-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'values.yaml');
  await writeFile(path, JSON.stringify(values));
  return path;
}
