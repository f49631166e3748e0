/** The command line of `hack/try`. */
import { parseArgs } from 'node:util';

export const USAGE = `Usage: hack/try [OPTION…]
Runs a cache on this machine until Ctrl-C, in front of sample files or of a bucket of yours. It needs no root, no
Kubernetes and no containers, and listens on 127.0.0.1 only.
  --origin URL       what is cached: s3://BUCKET[/PREFIX], or http(s)://HOST[/PATH] of a web server
                     (default: a slow S3 server with sample files, in the same process)
  --region REGION    region of the bucket (default: $AWS_REGION, otherwise us-east-1)
  --endpoint URL     S3 server of the bucket, if it is not AWS
  --anonymous        read a public bucket without credentials (default: those of your environment, as for the AWS CLI)
  --replicas N       this many replicas, 1 to 8, each with an endpoint of its own (default: 1)
  --port PORT        port of the first endpoint (default: 9000, or any free one if it is taken)
  --store FOLDER     keep the cached chunks there (default: a temporary folder, which is removed at the end)
`;

/** What the cache is put in front of. */
export type TriedOrigin =
  | { readonly kind: 'sample' }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** Ends with `/`, or is empty. */
      readonly prefix: string;
      readonly region: string;
      readonly endpoint: string | undefined;
      readonly anonymous: boolean;
    }
  | { readonly kind: 'http'; readonly baseUrl: string };

export interface TryOptions {
  readonly origin: TriedOrigin;
  readonly replicas: number;
  /** Undefined = 9000 if it is free. */
  readonly port: number | undefined;
  readonly storeFolder: string | undefined;
}

/** An error in the command line. Its message is for the user. */
export class UsageError extends Error {}

const MAX_REPLICAS = 8;

/** Returns `help` for `--help`. Throws UsageError. */
export function parseOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): TryOptions | 'help' {
  const values = valuesOf(args);
  if (values.help === true) return 'help';
  const replicas = wholeNumber('--replicas', values.replicas ?? '1', 1, MAX_REPLICAS);
  const port = values.port === undefined ? undefined : wholeNumber('--port', values.port, 1, 65_535);
  return { origin: originOf(values, env), replicas, port, storeFolder: values.store };
}

function valuesOf(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        origin: { type: 'string' },
        region: { type: 'string' },
        endpoint: { type: 'string' },
        anonymous: { type: 'boolean' },
        replicas: { type: 'string' },
        port: { type: 'string' },
        store: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function originOf(values: ReturnType<typeof valuesOf>, env: Readonly<Record<string, string | undefined>>): TriedOrigin {
  const { origin, region, endpoint, anonymous } = values;
  const onlyForS3 = Object.entries({ region, endpoint, anonymous }).find(([, value]) => value !== undefined)?.[0];
  if (onlyForS3 !== undefined && origin?.startsWith('s3://') !== true)
    throw new UsageError(`--${onlyForS3} requires --origin s3://BUCKET`);
  if (origin === undefined) return { kind: 'sample' };
  const s3 = /^s3:\/\/(?<bucket>[^/]+)(?:\/(?<prefix>.*))?$/.exec(origin)?.groups;
  if (s3 !== undefined) {
    const { bucket = '', prefix = '' } = s3;
    return {
      kind: 's3',
      bucket,
      prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
      region: region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
      endpoint: endpoint === undefined ? undefined : urlOf('--endpoint', endpoint),
      anonymous: anonymous === true,
    };
  }
  if (/^https?:\/\//.test(origin)) return { kind: 'http', baseUrl: urlOf('--origin', origin) };
  throw new UsageError(`--origin must be s3://BUCKET[/PREFIX] or http(s)://HOST[/PATH], not ${origin}`);
}

function urlOf(option: string, text: string): string {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new UsageError(`${option} must be an http or https URL, not ${text}`);
  // Never printed: it may hold a password.
  if (url.username !== '' || url.password !== '') throw new UsageError(`${option} must not contain a user or password`);
  if (url.search !== '' || url.hash !== '') throw new UsageError(`${option} must not have a query or fragment`);
  return text.replace(/\/+$/, '');
}

function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new UsageError(`${option} must be a whole number from ${min} to ${max}, not ${text}`);
  return value;
}
