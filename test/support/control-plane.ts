/**
 * A real API server with its etcd, as child processes on loopback: no node, no controller, no root. It has two users,
 * known by their tokens: an administrator, and one for the operator, with the rights that a test grants.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { openKubeClient, type KubeClient } from '#shared/kube/client.ts';
import { openKubeconfig } from '#shared/kube/kubeconfig.ts';
import { freePort } from '#hack/lab/free-ports.ts';
import { kubeconfigOf } from './kubeconfig.ts';
import { startServerProcess } from './server-process.ts';

/** The users' names; each has a token of the same text. */
export const ADMIN = 'test-admin';
export const OPERATOR_USER = 'test-operator';

export interface ControlPlane extends AsyncDisposable {
  /** As the one who may do everything. */
  readonly kube: KubeClient;
  /** The user's kubeconfig file, for programs that need one. */
  kubeconfig(user: string): string;
  /** Allowed writes of the operator's user so far, from the audit log: `patch orcacaches/status`. */
  operatorWrites(): Promise<string[]>;
  /** Stops the API server; its state is kept. */
  stopApi(): Promise<void>;
  startApi(): Promise<void>;
}

/** Another release than that of the cluster: `hack/lab/kube/build-apiserver` builds one. */
const APISERVER = process.env['ORCACACHE_APISERVER'] ?? 'kube-apiserver';
const START_TIMEOUT_MS = 90_000;
const POLL_MS = 200;
/** Large enough for the ClusterIPs of a thousand Services. */
const SERVICE_NETWORK = '10.96.0.0/16';

export async function openControlPlane(): Promise<ControlPlane> {
  const directory = await mkdtemp(join(tmpdir(), 'orca-control-plane-'));
  const file = (name: string): string => join(directory, name);
  const [etcdPort, peerPort, apiPort] = [await freePort(), await freePort(), await freePort()];
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await Promise.all([
    writeFile(file('service-account.key'), privateKey),
    writeFile(file('service-account.pub'), publicKey),
    writeFile(file('tokens.csv'), `${ADMIN},${ADMIN},1,"system:masters"\n${OPERATOR_USER},${OPERATOR_USER},2,""\n`),
    writeFile(file('audit.yaml'), stringify(auditPolicy())),
    ...[ADMIN, OPERATOR_USER].map((user) => {
      const cluster = { server: `https://127.0.0.1:${apiPort}`, 'insecure-skip-tls-verify': true };
      return writeFile(file(`${user}.yaml`), kubeconfigOf({ cluster, user: { token: user } }));
    }),
  ]);

  const stopEtcd = await startServerProcess({
    name: 'etcd',
    program: 'etcd',
    // No fsync: the data lives as long as the test.
    parameters: [
      `--data-dir=${file('etcd')}`,
      '--unsafe-no-fsync',
      '--log-level=error',
      `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
      `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
    ],
    ping: async () => {
      const { ok } = await fetch(`http://127.0.0.1:${etcdPort}/health`);
      if (!ok) throw new Error('etcd is not healthy');
    },
    pollMs: POLL_MS,
    startTimeoutMs: START_TIMEOUT_MS,
  });
  const kube = openKubeClient(openKubeconfig(file(`${ADMIN}.yaml`)));

  function startServer(): Promise<() => Promise<void>> {
    return startServerProcess({
      name: 'kube-apiserver',
      program: APISERVER,
      parameters: [
        `--etcd-servers=http://127.0.0.1:${etcdPort}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${apiPort}`,
        `--cert-dir=${file('certificates')}`,
        // It would publish its own address, which must not be one of loopback.
        '--endpoint-reconciler-type=none',
        `--service-cluster-ip-range=${SERVICE_NETWORK}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-account-key-file=${file('service-account.pub')}`,
        `--service-account-signing-key-file=${file('service-account.key')}`,
        '--authorization-mode=RBAC',
        `--token-auth-file=${file('tokens.csv')}`,
        `--audit-policy-file=${file('audit.yaml')}`,
        `--audit-log-path=${file('audit.log')}`,
        '--audit-log-mode=blocking',
      ],
      ping: () => kube.request('GET', '/readyz', { timeoutMs: 2000 }).catch(unlessText),
      pollMs: POLL_MS,
      startTimeoutMs: START_TIMEOUT_MS,
      // It would go on for a minute with what is being watched.
      stopSignal: 'SIGKILL',
    });
  }
  let stopServer = await startServer().catch(async (error: unknown) => {
    await stopEtcd();
    throw error;
  });

  return {
    kube,
    kubeconfig: (user) => file(`${user}.yaml`),
    async operatorWrites() {
      // The last line may still be being written.
      const lines = (await readFile(file('audit.log'), 'utf8').catch(() => '')).split('\n').slice(0, -1);
      return lines.map((line) => wordsOf(JSON.parse(line) as AuditEvent));
    },
    stopApi: () => stopServer(),
    async startApi() {
      stopServer = await startServer();
    },
    async [Symbol.asyncDispose]() {
      await stopServer();
      await stopEtcd();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** It responds with `ok`, which is not JSON, but counts as a response. */
function unlessText(error: unknown): void {
  if (!(error instanceof Error) || !error.message.includes('not JSON')) throw error;
}

interface AuditEvent {
  readonly verb: string;
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
}

function wordsOf({ verb, objectRef = {} }: AuditEvent): string {
  const { resource = '', subresource } = objectRef;
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
}

function auditPolicy(): object {
  const verbs = ['create', 'update', 'patch', 'delete'];
  return {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata', users: [OPERATOR_USER], verbs }, { level: 'None' }],
  };
}
