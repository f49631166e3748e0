/**
 * The API server from a kubeconfig, with every authentication method of client-node (exec plugins, OIDC, client
 * certificates). Loads all of client-node, so only the operator, outside a pod, the command line and scripts import this
 * file.
 */
import { existsSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions, type RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { AGENT_OPTIONS, type ApiServer } from './api-request.ts';
import { openInCluster } from './in-cluster.ts';

/**
 * Uses the first of: `file`, KUBECONFIG, ~/.kube/config, the pod's service account. A pod has the first three only if
 * someone configured them. `context`: another one than the current.
 */
export function openKubeconfig(file?: string, context?: string): ApiServer {
  const config = new KubeConfig();
  if (file !== undefined) config.loadFromFile(file);
  else if ((process.env['KUBECONFIG'] ?? '') !== '' || existsSync(join(homedir(), '.kube', 'config')))
    config.loadFromDefault();
  else if (context === undefined) return openInCluster();
  if (context !== undefined) {
    if (config.getContextObject(context) === null) throw new Error(`context "${context}" does not exist`);
    config.setCurrentContext(context);
  }

  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new Error(`the kubeconfig has no cluster for the current context '${config.getCurrentContext()}'`);
  const url = new URL(cluster.server);
  if (url.protocol === 'http:' && !cluster.skipTLSVerify) dropCredentials(config);
  const selected = config.getContextObject(config.getCurrentContext());
  let agent: HttpAgent | undefined;
  let agentFingerprint = '';

  return {
    url,
    namespace: selected?.namespace,
    async authorize() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(options.headers ?? {}))
        if (value !== undefined) headers[name.toLowerCase()] = String(value);
      if (typeof options.auth === 'string')
        headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
      // client-node's agents do not keep connections alive, so only its proxy agents are used.
      if (cluster.proxyUrl !== undefined) return { headers, agent: options.agent as HttpAgent };
      const identity = tlsIdentity(options);
      const fingerprint = JSON.stringify(identity);
      if (agent === undefined || fingerprint !== agentFingerprint) {
        agent =
          url.protocol === 'http:' ? new HttpAgent(AGENT_OPTIONS) : new HttpsAgent({ ...AGENT_OPTIONS, ...identity });
        agentFingerprint = fingerprint;
      }
      return { headers, agent };
    },
    // client-node tracks expiry itself and runs exec plugins again when a credential has expired.
    forget() {},
  };
}

/**
 * As kubectl does, sends no credentials to a server without TLS, such as `kubectl proxy`: the network could read them.
 * client-node rejects such a server, unless the kubeconfig permits with `insecure-skip-tls-verify` that they are sent.
 */
function dropCredentials(config: KubeConfig): void {
  config.users = [];
  config.clusters = config.clusters.map((cluster) => ({ ...cluster, skipTLSVerify: true }));
}

function tlsIdentity(options: RequestOptions): AgentOptions {
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
  const given = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
