/** Kubeconfigs with one cluster, one user and one context. */
import { stringify } from 'yaml';

export interface KubeconfigParts {
  readonly cluster: { readonly server: string; readonly 'insecure-skip-tls-verify'?: boolean };
  readonly user?: { readonly token?: string };
  readonly namespace?: string;
}

/** The text of the file. */
export function kubeconfigOf({ cluster, user = {}, namespace }: KubeconfigParts): string {
  const name = 'test';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, ...(namespace !== undefined && { namespace }) } }],
  });
}
