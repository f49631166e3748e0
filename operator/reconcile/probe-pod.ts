/** Asks a cache pod what keeps it from being ready. Best effort: a pod that can't be asked is described by the kubelet. */
import { get } from 'node:http';
import { POD_PORT } from '#crds/names.ts';
import type { PodReport } from '#operator/api/observed.ts';
import { parsePodReport } from './parse-pod-report.ts';

/** A pod answers from memory; one that needs longer is busy with worse. */
const TIMEOUT_MS = 2000;
/** A report is some hundred bytes. */
const MAX_BYTES = 64 * 1024;

export type ProbePod = (podIp: string, signal: AbortSignal) => Promise<PodReport | undefined>;

export function openPodProbe(port: number = POD_PORT.ops): ProbePod {
  return async (podIp, signal) => {
    try {
      return parsePodReport(await fetchText(podIp, port, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])));
    } catch (error) {
      signal.throwIfAborted();
      // Still starting, or behind a network policy that we are not let through: no report is an answer too.
      if (error instanceof Error) return undefined;
      throw error;
    }
  };
}

function fetchText(podIp: string, port: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: podIp, port, path: '/status', signal, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
        if (text.length > MAX_BYTES) request.destroy(new Error('the report is too long'));
      });
      response.once('error', reject);
      response.once('end', () =>
        response.statusCode === 200 ? resolve(text) : reject(new Error(`status ${response.statusCode}`)),
      );
    });
    request.once('error', reject);
  });
}
