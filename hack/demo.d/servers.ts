/** The other servers of the demo: an origin, a cachestore, a counting proxy, and a TCP proxy for access from outside. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from './kubectl.ts';
import { DEMO_LABEL, NAMESPACE, ORIGIN_SECRET, PORT, STORE_SECRET } from './names.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The ports of the TCP proxy, by the Service that it forwards to. */
export const PROXY_PORTS = { origin: 9001, store: 9002, edge: 9003 } as const;

const USER = 10001;
/** Limits the disk space of the objects and chunks of a demo on the node; much more than they need. */
const DISK_LIMIT = '64Gi';

export function namespace(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: DEMO_LABEL } };
}

export function secret(name: string, { accessKeyId, secretAccessKey }: Credentials): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: NAMESPACE },
    stringData: { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey },
  };
}

/** An S3 server that stores objects in a folder; `secretName` is the Secret with its only user. */
function s3Server(name: string, secretName: string, image: string): KubeObject[] {
  const fromSecret = (variable: string, key: string): unknown => ({
    name: variable,
    valueFrom: { secretKeyRef: { name: secretName, key } },
  });
  return [
    deployment(name, image, {
      // Off by default in versitygw, but every real store supports keep-alive.
      command: ['versitygw', '--port', `:${PORT.s3}`, '--quiet', '--keep-alive', 'posix', '/data'],
      env: [fromSecret('ROOT_ACCESS_KEY', 'access-key-id'), fromSecret('ROOT_SECRET_KEY', 'secret-access-key')],
      ports: [{ name: 's3', containerPort: PORT.s3 }],
      readinessProbe: { tcpSocket: { port: 's3' }, periodSeconds: 1 },
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
    }),
    service(name, { s3: PORT.s3 }),
  ];
}

function countingProxy(image: string): KubeObject[] {
  return [
    deployment('origin-proxy', image, {
      command: ['node', 'counting-proxy.ts', '--upstream', `http://origin.${NAMESPACE}.svc:${PORT.s3}`],
      ports: [
        { name: 's3', containerPort: PORT.proxy },
        { name: 'numbers', containerPort: PORT.proxyNumbers },
      ],
      readinessProbe: { httpGet: { path: '/_health', port: 'numbers' }, periodSeconds: 1 },
    }),
    service('origin-proxy', { s3: PORT.proxy, numbers: PORT.proxyNumbers }),
  ];
}

export function servers(image: string): KubeObject[] {
  return [
    ...s3Server('origin', ORIGIN_SECRET, image),
    ...s3Server('store', STORE_SECRET, image),
    ...countingProxy(image),
  ];
}

/**
 * A pod that forwards connections to Services that this machine has no route to. Clients connect to it through
 * `kubectl port-forward`, so that reads use the edge Service and not a single cache pod.
 */
export function tcpProxy(image: string, edgeService: string): KubeObject[] {
  const to = (port: number, host: string, hostPort: number): string => `${port}=${host}.${NAMESPACE}.svc:${hostPort}`;
  return [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'tcp-proxy', namespace: NAMESPACE },
      data: {
        'tcp-proxy.ts': readFileSync(join(import.meta.dirname, 'tcp-proxy.ts'), 'utf8'),
        'package.json': '{"type":"module"}',
      },
    },
    deployment(
      'tcp-proxy',
      image,
      {
        command: [
          'node',
          '/scripts/tcp-proxy.ts',
          to(PROXY_PORTS.origin, 'origin', PORT.s3),
          to(PROXY_PORTS.store, 'store', PORT.s3),
          to(PROXY_PORTS.edge, edgeService, PORT.edge),
        ],
        readinessProbe: { tcpSocket: { port: PROXY_PORTS.edge }, periodSeconds: 1 },
        volumeMounts: [{ name: 'scripts', mountPath: '/scripts' }],
      },
      [{ name: 'scripts', configMap: { name: 'tcp-proxy' } }],
    ),
  ];
}

function deployment(
  name: string,
  image: string,
  container: Readonly<Record<string, unknown>>,
  volumes: readonly unknown[] = [],
): KubeObject {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: NAMESPACE, labels },
    spec: {
      replicas: 1,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          // These servers need no graceful shutdown.
          terminationGracePeriodSeconds: 1,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: USER,
            runAsGroup: USER,
            fsGroup: USER,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name,
              image,
              imagePullPolicy: 'IfNotPresent',
              // The same as a cache pod: without requests, cache pods would starve these on a busy node.
              resources: { requests: { cpu: '250m', memory: '128Mi' } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              ...container,
            },
          ],
          volumes: [{ name: 'data', emptyDir: { sizeLimit: DISK_LIMIT } }, ...volumes],
        },
      },
    },
  };
}

function service(name: string, ports: Readonly<Record<string, number>>): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      selector: { app: name },
      ports: Object.entries(ports).map(([portName, port]) => ({ name: portName, port, targetPort: portName })),
    },
  };
}
