/** Access to the cluster through kubectl, so that every step can be repeated on the command line. */
import { stringify } from 'yaml';
import { run, type RunOptions } from './run.ts';

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [member: string]: unknown;
}

export interface Pod {
  readonly name: string;
  readonly node: string;
  readonly ready: boolean;
  readonly terminating: boolean;
}

export interface Kubectl {
  (args: readonly string[], options?: RunOptions): Promise<string>;
  apply(objects: readonly KubeObject[]): Promise<void>;
  /** `condition` as in `kubectl wait --for`; `title` names it in the error message of a timeout. */
  waitFor(title: string, condition: string, args: readonly string[], timeoutS: number): Promise<void>;
  pods(namespace: string, selector: string): Promise<Pod[]>;
  /** One field as text; empty if the field or the object does not exist. */
  field(what: readonly string[], jsonPath: string): Promise<string>;
}

const FIELD_MANAGER = 'orcacache-demo';

export function openKubectl(kubeconfig: string, signal: AbortSignal | undefined): Kubectl {
  const kubectl = (args: readonly string[], options: RunOptions = {}): Promise<string> =>
    run('kubectl', [`--kubeconfig=${kubeconfig}`, ...args], { signal, what: `kubectl ${args.join(' ')}`, ...options });

  return Object.assign(kubectl, {
    async apply(objects: readonly KubeObject[]) {
      const input = objects.map((object) => stringify(object)).join('---\n');
      const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(', ');
      await kubectl(['apply', '--server-side', '--force-conflicts', `--field-manager=${FIELD_MANAGER}`, '-f', '-'], {
        input,
        what: `kubectl apply of ${names}`,
      });
    },
    async waitFor(title: string, condition: string, args: readonly string[], timeoutS: number) {
      // kubectl enforces the deadline; this later one is for a kubectl that hangs.
      const timeoutMs = (timeoutS + 15) * 1000;
      await kubectl(['wait', `--for=${condition}`, `--timeout=${timeoutS}s`, ...args], {
        timeoutMs,
        what: `waiting up to ${timeoutS} s for ${title}`,
      });
    },
    async pods(namespace: string, selector: string) {
      const text = await kubectl(['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json']);
      return (JSON.parse(text) as PodList).items.map((pod) => ({
        name: pod.metadata.name,
        node: pod.spec.nodeName ?? '',
        ready: pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
        terminating: pod.metadata.deletionTimestamp !== undefined,
      }));
    },
    field: (what: readonly string[], jsonPath: string) =>
      kubectl(['get', ...what, '--ignore-not-found', '-o', `jsonpath=${jsonPath}`]),
  });
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly spec: { readonly nodeName?: string };
    readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}
