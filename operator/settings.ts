/** Parses the operator's environment and command line. Reports all problems at once, one line each. Pure. */
import type { BuildContext } from '#operator/resources/context.ts';
import type { LogLevel } from '#shared/log.ts';

export interface Settings {
  readonly image: string;
  readonly imagePullPolicy: BuildContext['imagePullPolicy'];
  /** Empty = all. */
  readonly namespaces: readonly string[];
  /** The operator's own pod; undefined outside a cluster. */
  readonly podName: string | undefined;
  /** The Lease for the leader election; undefined = no election, because there is no other operator. */
  readonly lease: { readonly namespace: string; readonly name: string } | undefined;
  /** Whether pods with the scheduling gate of a prewarm are released; it needs the permission to patch pods. */
  readonly schedulingGates: boolean;
  readonly logLevel: LogLevel;
  readonly kubeconfig: string | undefined;
  readonly probePort: number;
  readonly metricsPort: number;
}

export type Parsed =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** kubebuilder's default ports, where monitoring expects them. */
const PROBE_PORT = 8081;
const METRICS_PORT = 8080;
/** Each namespace has a dozen watches of its own; beyond this number, watching all namespaces is cheaper. */
const MAX_NAMESPACES = 50;
/** One Lease per installation: the chart names it after the release. */
const LEASE_NAME = 'orca-operator';
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export function parseSettings(env: Environment, args: readonly string[]): Parsed {
  const problems: string[] = [];
  const image = valueOf(env, 'CACHE_IMAGE');
  if (image === undefined) problems.push('CACHE_IMAGE must be set to the image of the cache pods');
  const settings: Settings = {
    image: image ?? '',
    imagePullPolicy: parseEnum(env, 'CACHE_IMAGE_PULL_POLICY', PULL_POLICIES, 'IfNotPresent', problems),
    namespaces: parseNamespaces(env, problems),
    podName: valueOf(env, 'POD_NAME'),
    lease: leaseOf(env),
    schedulingGates: parseEnum(env, 'SCHEDULING_GATES', ['true', 'false'], 'false', problems) === 'true',
    logLevel: parseEnum(env, 'LOG_LEVEL', LOG_LEVELS, 'info', problems),
    kubeconfig: parseArguments(args, problems),
    probePort: parsePort(env, 'PROBE_PORT', PROBE_PORT, problems),
    metricsPort: parsePort(env, 'METRICS_PORT', METRICS_PORT, problems),
  };
  return problems.length === 0 ? { ok: true, settings } : { ok: false, problems };
}

/** Charts render unset values as empty variables, so empty counts as unset. */
function valueOf(env: Environment, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}

function parseEnum<const V extends string>(
  env: Environment,
  name: string,
  values: readonly V[],
  fallback: V,
  problems: string[],
): V {
  const value = valueOf(env, name);
  if (value === undefined) return fallback;
  const found = values.find((candidate) => candidate === value);
  if (found === undefined) problems.push(`${name} must be one of ${values.join(', ')}, not ${JSON.stringify(value)}`);
  return found ?? fallback;
}

function parsePort(env: Environment, name: string, fallback: number, problems: string[]): number {
  const value = valueOf(env, name);
  if (value === undefined) return fallback;
  const number = Number(value);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  problems.push(`${name} must be a port number up to 65535, not ${JSON.stringify(value)}`);
  return fallback;
}

function parseNamespaces(env: Environment, problems: string[]): string[] {
  const names = (valueOf(env, 'WATCH_NAMESPACES') ?? '').split(',').map((name) => name.trim());
  if (names.length === 1 && names[0] === '') return [];
  const invalid = names.filter((name) => !DNS_LABEL.test(name));
  if (invalid.length > 0)
    problems.push(
      `WATCH_NAMESPACES must be namespace names separated by commas; invalid: ${invalid.map((name) => JSON.stringify(name)).join(', ')}`,
    );
  const distinct = [...new Set(names)];
  if (distinct.length > MAX_NAMESPACES)
    problems.push(`WATCH_NAMESPACES must have at most ${MAX_NAMESPACES} namespaces; leave it empty to watch all`);
  return distinct;
}

function leaseOf(env: Environment): Settings['lease'] {
  const namespace = valueOf(env, 'LEASE_NAMESPACE') ?? valueOf(env, 'POD_NAMESPACE');
  return namespace === undefined ? undefined : { namespace, name: valueOf(env, 'LEASE_NAME') ?? LEASE_NAME };
}

/** The path after `--kubeconfig`, the only argument. */
function parseArguments(args: readonly string[], problems: string[]): string | undefined {
  const [flag, file, ...more] = args;
  if (flag === undefined) return undefined;
  if (flag.startsWith('--kubeconfig=') && file === undefined) return flag.slice('--kubeconfig='.length);
  if (flag === '--kubeconfig' && file !== undefined && more.length === 0) return file;
  problems.push(`the only supported argument is --kubeconfig FILE, not ${args.join(' ')}`);
  return undefined;
}
