/** OrcaPrewarms of one namespace, at the API server. */
import { GROUP, PREWARM, VERSION } from '#crds/names.ts';
import type { KubeClient } from '#shared/kube/client.ts';
import { KubeError } from '#shared/kube/error.ts';
import { CliError } from '#cache/cli/frame/errors.ts';
import type { Fields } from '#cache/cli/replies/fields.ts';
import type { Prewarms } from './cluster.ts';

/** In `metadata.managedFields`, where kubectl has its own name. */
const FIELD_MANAGER = 'kubectl-orca';

export interface KubePrewarmsOptions {
  readonly client: Pick<KubeClient, 'request'>;
  readonly namespace: string;
  readonly timeoutMs: number;
  /** All pages of a collection, sorted by name. */
  readonly list: (path: string, labelSelector: undefined, signal: AbortSignal) => Promise<readonly Fields[]>;
}

export function kubePrewarms({ client, namespace, timeoutMs, list }: KubePrewarmsOptions): Prewarms {
  const collection = `/apis/${GROUP}/${VERSION}/namespaces/${encodeURIComponent(namespace)}/${PREWARM.plural}`;
  const pathOf = (name: string): string => `${collection}/${encodeURIComponent(name)}`;
  return {
    list: (signal) => explained(() => list(collection, undefined, signal)),
    get: (name, signal) => explained(() => client.request<Fields>('GET', pathOf(name), { timeoutMs, signal })),
    create: (prewarm, signal) =>
      explained(() => {
        const query = { fieldManager: FIELD_MANAGER, fieldValidation: 'Strict' };
        return client.request<Fields>('POST', collection, { query, body: prewarm, timeoutMs, signal });
      }),
    delete: (name, uid, signal) =>
      explained(async () => {
        const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } };
        await client.request('DELETE', pathOf(name), { body, timeoutMs, signal });
      }),
  };
}

/** A 404 with a name in its details is about one resource; one without is about the kind. */
async function explained<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404 || error.details?.name !== undefined) throw error;
    throw new CliError(
      `this cluster has no resource ${PREWARM.plural}.${GROUP}: update the operator (chart orcacache), or choose another --context`,
      error,
    );
  }
}
