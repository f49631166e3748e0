/**
 * The API server as a kubeconfig names it, with every kind of authentication that client-node knows (exec plugins, OIDC,
 * client certificates). Imports all of client-node, so only the operator and the scripts may import this file.
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
 * `file`, else KUBECONFIG, else ~/.kube/config, else the pod's service account. A pod never has the first three unless
 * somebody means it.
 */
export function openKubeconfig(file?: string): ApiServer {
  const config = new KubeConfig();
  if (file !== undefined) config.loadFromFile(file);
  else if ((process.env['KUBECONFIG'] ?? '') !== '' || existsSync(join(homedir(), '.kube', 'config')))
    config.loadFromDefault();
  else return openInCluster();

  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new Error(`the kubeconfig has no cluster for its context '${config.getCurrentContext()}'`);
  const url = new URL(cluster.server);
  const context = config.getContextObject(config.getCurrentContext());
  let agent: HttpAgent | undefined;
  let agentIsFor = '';

  return {
    url,
    namespace: context?.namespace,
    async authorize() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(options.headers ?? {}))
        if (value !== undefined) headers[name.toLowerCase()] = String(value);
      if (typeof options.auth === 'string')
        headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
      // client-node's agents keep no connection alive; only its proxy agents do what ours can't.
      if (cluster.proxyUrl !== undefined) return { headers, agent: options.agent as HttpAgent };
      const identity = tlsIdentity(options);
      const fingerprint = JSON.stringify(identity);
      if (agent === undefined || fingerprint !== agentIsFor) {
        agent =
          url.protocol === 'http:' ? new HttpAgent(AGENT_OPTIONS) : new HttpsAgent({ ...AGENT_OPTIONS, ...identity });
        agentIsFor = fingerprint;
      }
      return { headers, agent };
    },
    // client-node keeps its own expiry times; exec plugins are asked again when theirs has passed.
    forget() {},
  };
}

function tlsIdentity(options: RequestOptions): AgentOptions {
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
  const given = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
