/** Checks of what the replicas report about the origin. */
import { countAt, fieldsAt, textAt } from '#cache/cli/replies/fields.ts';
import type { CacheReport } from '#cache/cli/replies/gather.ts';
import { error, grouped, named, warning, type Check } from './check.ts';
import { answering, podName, statusCheck } from './status-check.ts';

/** The names that a resolver's failures have in messages of Node.js. */
const DNS = /ENOTFOUND|EAI_AGAIN|getaddrinfo/;
const TLS = /certificate|self.signed|CERT_|ERR_TLS|wrong version number/i;

interface BucketProbe {
  readonly bucket: string;
  readonly state: string;
  readonly message: string;
}

function probesOf(report: CacheReport): readonly BucketProbe[] {
  return answering(report).flatMap(({ status }) =>
    Object.entries(fieldsAt(status, 'origin')).map(([bucket, probe]) => ({
      bucket,
      state: textAt(probe, 'state'),
      message: textAt(probe, 'message'),
    })),
  );
}

/** A failed probe belongs to the first of these whose pattern matches. */
const ORIGIN_FAILURES: readonly {
  readonly id: string;
  readonly title: string;
  readonly pattern: RegExp;
  readonly remedy: string;
}[] = [
  {
    id: 'origin-region',
    title: 'The origin is in the configured region',
    pattern: /^origin_wrong_region/,
    remedy: 'Set spec.origin.s3.region to the region in the message.',
  },
  {
    id: 'origin-dns',
    title: "The origin's host name resolves",
    pattern: DNS,
    remedy:
      'Correct spec.origin.*.endpoint, or the DNS of the cluster: kubectl -n kube-system get pods -l k8s-app=kube-dns.',
  },
  {
    id: 'origin-tls',
    title: "The origin's certificate is trusted",
    pattern: TLS,
    remedy: 'Name the CA of the origin in caSecretRef or caConfigMapRef, or correct the host name.',
  },
  {
    id: 'origin-credentials',
    title: 'The origin accepts the credentials',
    pattern: /^(origin_denied|access_denied)/,
    remedy: 'Correct the Secret of spec.origin; pods use it without a restart.',
  },
  {
    id: 'origin-buckets',
    title: 'The buckets exist at the origin',
    pattern: /^bucket_not_found/,
    remedy: 'Correct originBucket in spec.origin.buckets, or create the bucket.',
  },
  {
    id: 'origin',
    title: 'The origin answers',
    pattern: /^/,
    remedy: 'Look at the origin, and the way to it. What is cached is served meanwhile.',
  },
];

function originCheck(at: number): Check {
  const { id, title, remedy } = ORIGIN_FAILURES[at]!;
  const isOurs = ({ message }: BucketProbe): boolean =>
    ORIGIN_FAILURES.findIndex(({ pattern }) => pattern.test(message)) === at;
  return {
    id,
    title,
    run(report) {
      const probes = probesOf(report);
      if (probes.length === 0) return undefined;
      const failed = probes.filter((probe) => probe.state === 'failed' && isOurs(probe));
      const groups = grouped(
        failed,
        ({ bucket }) => bucket,
        ({ message }) => message,
      );
      return [...groups].map(([message, buckets]) => error(`${named(buckets, 'bucket')}: ${message}`, remedy));
    },
  };
}

export const ORIGIN_CHECKS: readonly Check[] = [
  ...ORIGIN_FAILURES.map((_, at) => originCheck(at)),
  {
    id: 'origin-list',
    title: 'The buckets may be listed',
    run(report) {
      const probes = probesOf(report);
      if (probes.length === 0) return undefined;
      const denied = probes.filter(({ state }) => state === 'list_denied').map(({ bucket }) => bucket);
      return denied.length === 0
        ? []
        : [
            warning(
              `${named(denied, 'bucket')} may not be listed, so a missing object looks like a forbidden one`,
              'Grant s3:ListBucket, or accept it.',
            ),
          ];
    },
  },
  statusCheck(
    'origin-breakers',
    'No circuit breaker to the origin is open',
    (status) => Object.keys(fieldsAt(status, 'originBreakers')).toSorted().join(', ') || undefined,
    (buckets, names) =>
      error(
        `${names} sends the origin no requests for a while: ${buckets}`,
        'Too many of its requests failed. It tries again by itself; look at the origin.',
      ),
  ),
  {
    id: 'origin-queue',
    title: 'Requests do not wait for the origin',
    run({ pods }) {
      const known = pods.filter(({ top }) => top !== undefined);
      if (known.length === 0) return undefined;
      const waiting = known.filter(({ top }) => countAt(top, 'now', 'originQueued') > 0);
      const count = waiting.reduce((sum, { top }) => sum + countAt(top, 'now', 'originQueued'), 0);
      return count === 0
        ? []
        : [
            warning(
              `${count} requests wait for a slot at the origin at ${named(waiting.map(podName))}`,
              'Normal during a burst. If it lasts and the origin can take more, raise spec.origin.targetGlobal.',
            ),
          ];
    },
  },
];
