/** The servers around the cache: an origin without a disk behind a counting proxy, and a cachestore; each can be stopped. */
import { fromKeys } from '#test/cluster/operator-world.ts';

export const SERVERS = ['origin', 'origin-proxy', 'store'] as const;
export type ServerName = (typeof SERVERS)[number];

export const S3_PORT = 7070;
export const NUMBERS_PORT = 7072;
export const STORE_BUCKET = 'orca-chunks';
/** This machine reaches Services through this node, so it is never cut off. */
export const SERVERS_NODE = 'node1';
/** While this file exists in the container, its server does not run. */
export const STOPPED_FILE = '/tmp/stopped';

/** Latency and per-connection bandwidth of another region, so that fills last long enough for a fault to hit them. */
const ORIGIN_LATENCY_MS = 20;
const ORIGIN_BYTES_PER_SECOND = 8_000_000;
const USER = 10_001;

/**
 * Keeps the container when its server is killed, so that the store's data survives, as on a real disk. SIGKILL resets
 * its connections; later ones are refused.
 */
const STOPPABLE = `
while :; do
  while [ -e ${STOPPED_FILE} ]; do sleep 0.2; done
  "$@" & server=$!
  while [ ! -e ${STOPPED_FILE} ]; do sleep 0.2; done
  kill -KILL $server; wait $server
done`;

export function servers(): object[] {
  const originArgs = ['--latency-ms', String(ORIGIN_LATENCY_MS), '--bytes-per-second', String(ORIGIN_BYTES_PER_SECOND)];
  const proxyArgs = ['--upstream', `http://origin:${S3_PORT}`, '--listen', `0.0.0.0:${S3_PORT}`];
  return [
    ...server('origin', ['node', 'synthetic-origin.ts', '--listen', `0.0.0.0:${S3_PORT}`, ...originArgs]),
    ...server('origin-proxy', ['node', 'counting-proxy.ts', ...proxyArgs, '--admin', `0.0.0.0:${NUMBERS_PORT}`]),
    ...server('store', gateway(STORE_BUCKET)),
  ];
}

/** The command of an S3 server with one bucket. */
export function gateway(bucket: string): string[] {
  const start = `mkdir -p /data/${bucket} && exec versitygw --port :${S3_PORT} --quiet --keep-alive posix /data`;
  return ['sh', '-c', start];
}

/** A pod with a Service of its name. Its server stops while STOPPED_FILE exists. */
export function server(name: string, command: readonly string[]): object[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app: name } },
      spec: {
        nodeName: SERVERS_NODE,
        terminationGracePeriodSeconds: 1,
        securityContext: { runAsNonRoot: true, runAsUser: USER, fsGroup: USER },
        containers: [
          {
            name,
            image: 'orcacache/support:dev',
            imagePullPolicy: 'IfNotPresent',
            command: ['sh', '-c', STOPPABLE, 'stoppable', ...command],
            env: [fromKeys('ROOT_ACCESS_KEY', 'access-key-id'), fromKeys('ROOT_SECRET_KEY', 'secret-access-key')],
            // The same as a cache pod: without requests, cache pods would starve the servers on a busy node.
            resources: { requests: { cpu: '250m', memory: '64Mi' } },
            readinessProbe: { tcpSocket: { port: S3_PORT }, periodSeconds: 1 },
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app: name }, ports: [{ port: S3_PORT }] },
    },
  ];
}
