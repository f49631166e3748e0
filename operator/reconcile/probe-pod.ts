/**
 * Fetches a pod's report from `/status` on its ops listener. Best effort: without a report, the pod's Kubernetes status
 * is used.
 */
import { get } from 'node:http';
import { POD_PORT } from '#crds/names.ts';
import type { PodReport } from '#operator/api/observed.ts';
import { parsePodReport } from './parse-pod-report.ts';

/**
 * A pod answers from memory within milliseconds; a slower one is overloaded, and its report is not worth waiting for.
 */
const TIMEOUT_MS = 2000;
/** A report has a few kilobytes. With a thousand buckets that all fail, their errors take half a megabyte. */
const MAX_BYTES = 1024 * 1024;

/** Resolves with undefined if the pod gives no valid report; rejects only when the signal aborts. */
export type ProbePod = (podIp: string, signal: AbortSignal) => Promise<PodReport | undefined>;

export function openPodProbe(port: number = POD_PORT.ops): ProbePod {
  return async (podIp, signal) => {
    try {
      return parsePodReport(await fetchText(podIp, port, '/status', signal));
    } catch (error) {
      signal.throwIfAborted();
      // Expected while a pod starts, or behind a network policy that blocks the operator.
      if (error instanceof Error) return undefined;
      throw error;
    }
  };
}

/** The body of a response of an ops listener. Rejects if the pod does not answer in time with 200. */
export function fetchText(podIp: string, port: number, path: string, cancel: AbortSignal): Promise<string> {
  const signal = AbortSignal.any([cancel, AbortSignal.timeout(TIMEOUT_MS)]);
  return new Promise((resolve, reject) => {
    const request = get({ host: podIp, port, path, signal, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
        if (text.length > MAX_BYTES) request.destroy(new Error(`the report exceeds ${MAX_BYTES} bytes`));
      });
      response.once('error', reject);
      response.once('end', () =>
        response.statusCode === 200 ? resolve(text) : reject(new Error(`status ${response.statusCode}`)),
      );
    });
    request.once('error', reject);
  });
}
