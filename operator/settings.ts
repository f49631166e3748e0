/** What the operator is told by its environment and command line; every mistake in one clear line. Pure. */
import type { BuildContext } from '#operator/resources/context.ts';
import type { LogLevel } from '#shared/log.ts';

export interface Settings {
  readonly image: string;
  readonly imagePullPolicy: BuildContext['imagePullPolicy'];
  /** Empty = all. */
  readonly namespaces: readonly string[];
  /** Of the operator's own pod; undefined outside a cluster. */
  readonly podName: string | undefined;
  /** Which Lease says who of several operators works; undefined = there is no other. */
  readonly lease: { readonly namespace: string; readonly name: string } | undefined;
  readonly logLevel: LogLevel;
  readonly kubeconfig: string | undefined;
  readonly probePort: number;
  readonly metricsPort: number;
}

export type Parsed =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly mistakes: readonly string[] };

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** The ports of kubebuilder's operators, where monitoring looks for them. */
const PROBE_PORT = 8081;
const METRICS_PORT = 8080;
/** Each has its own watches, nine of them; whoever has more namespaces watches all. */
const MAX_NAMESPACES = 50;
/** One for each installation: the chart names it after the release. */
const LEASE_NAME = 'orca-operator';
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export function parseSettings(env: Readonly<Record<string, string | undefined>>, args: readonly string[]): Parsed {
  const mistakes: string[] = [];
  const text = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);

  function oneOf<const V extends string>(name: string, values: readonly V[], fallback: V): V {
    const value = text(name);
    if (value === undefined) return fallback;
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) mistakes.push(`${name} must be one of ${values.join(', ')}, not ${JSON.stringify(value)}`);
    return found ?? fallback;
  }

  function port(name: string, fallback: number): number {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
    mistakes.push(`${name} must be a port, not ${JSON.stringify(value)}`);
    return fallback;
  }

  function namespaces(): string[] {
    const names = (text('WATCH_NAMESPACES') ?? '').split(',').map((name) => name.trim());
    if (names.length === 1 && names[0] === '') return [];
    const bad = names.filter((name) => !DNS_LABEL.test(name));
    if (bad.length > 0)
      mistakes.push(
        `WATCH_NAMESPACES must be namespaces separated by commas; ${bad.map((name) => JSON.stringify(name)).join(', ')} can't be one`,
      );
    const distinct = [...new Set(names)];
    if (distinct.length > MAX_NAMESPACES)
      mistakes.push(`WATCH_NAMESPACES may name at most ${MAX_NAMESPACES} namespaces; leave it empty to watch all`);
    return distinct;
  }

  function kubeconfig(): string | undefined {
    const [flag, file, ...rest] = args;
    if (flag === undefined) return undefined;
    if (flag.startsWith('--kubeconfig=') && file === undefined) return flag.slice('--kubeconfig='.length);
    if (flag === '--kubeconfig' && file !== undefined && rest.length === 0) return file;
    mistakes.push(`the only argument is --kubeconfig FILE, not ${args.join(' ')}`);
    return undefined;
  }

  const image = text('CACHE_IMAGE');
  if (image === undefined) mistakes.push('CACHE_IMAGE is not set: it names the image of the cache pods');
  const leaseNamespace = text('LEASE_NAMESPACE') ?? text('POD_NAMESPACE');
  const settings: Settings = {
    image: image ?? '',
    imagePullPolicy: oneOf('CACHE_IMAGE_PULL_POLICY', PULL_POLICIES, 'IfNotPresent'),
    namespaces: namespaces(),
    podName: text('POD_NAME'),
    lease:
      leaseNamespace === undefined ? undefined : { namespace: leaseNamespace, name: text('LEASE_NAME') ?? LEASE_NAME },
    logLevel: oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    kubeconfig: kubeconfig(),
    probePort: port('PROBE_PORT', PROBE_PORT),
    metricsPort: port('METRICS_PORT', METRICS_PORT),
  };
  return mistakes.length === 0 ? { ok: true, settings } : { ok: false, mistakes };
}
