/**
 * Everything that a namespace shows to users who may not read its Secrets, and those Secrets: kept for the search after the
 * tests (hack/search-secrets.ts). The logs of deleted pods are lost.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { keepSaid, keepsEvidence, noteSecretFile } from '#test/support/evidence.ts';

const exec = promisify(execFile);
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
/** Kinds other than Secrets: their manifests and descriptions are kept. */
const KINDS =
  'orcacaches,orcaprewarms,pods,deployments,replicasets,configmaps,services,endpointslices,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies,events,leases';

/** As kubectl begins the message about an object that is not there. */
const NOT_FOUND = 'Error from server (NotFound)';

interface SecretList {
  readonly items: readonly { readonly metadata: { readonly name: string }; readonly data?: Record<string, string> }[];
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: {
      readonly containers: readonly {
        readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
      }[];
    };
  }[];
}

export async function keepNamespace(namespace: string): Promise<void> {
  if (!keepsEvidence) return;
  const kubectl = async (...args: readonly string[]): Promise<string> =>
    (await exec('kubectl', ['-n', namespace, ...args], { maxBuffer: MAX_OUTPUT_BYTES })).stdout;

  const secrets = JSON.parse(await kubectl('get', 'secrets', '-o', 'json')) as SecretList;
  for (const { metadata, data = {} } of secrets.items) {
    // Helm keeps its releases in Secrets, compressed: they are manifests, not keys.
    if (metadata.name.startsWith('sh.helm.release.')) continue;
    for (const [name, base64] of Object.entries(data))
      noteSecretFile(`Secret ${metadata.name}`, name, Buffer.from(base64, 'base64'));
  }
  keepSaid('objects')(await kubectl('get', KINDS, '-o', 'yaml'));
  keepSaid('described')(await kubectl('describe', KINDS).catch(withoutDeleted));
  const pods = JSON.parse(await kubectl('get', 'pods', '-o', 'json')) as PodList;
  for (const { metadata, spec } of pods.items) {
    const say = keepSaid(`pod-${metadata.name}`);
    // A container that has not started, or not restarted, has no such log.
    const log = (...options: string[]) =>
      kubectl('logs', metadata.name, '--all-containers', ...options).catch(() => '');
    say(await log());
    say(await log('--previous'));
    const ports = spec.containers.flatMap((container) => container.ports ?? []);
    const ops = ports.find(({ name }) => name === 'ops' || name === 'metrics')?.containerPort;
    if (ops === undefined) continue;
    for (const page of ['metrics', 'status'])
      say(
        await kubectl(
          'get',
          '--raw',
          `/api/v1/namespaces/${namespace}/pods/${metadata.name}:${ops}/proxy/${page}`,
        ).catch(() => ''),
      );
  }
}

/** An object may be deleted after `describe` has listed it: the others have been described all the same. */
function withoutDeleted(error: unknown): string {
  const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
  const complaints = (stderr ?? '').split('\n').filter((line) => line !== '');
  const isHarmless = complaints.length > 0 && complaints.every((line) => line.startsWith(NOT_FOUND));
  if (stdout === undefined || !isHarmless) throw error;
  return stdout;
}
