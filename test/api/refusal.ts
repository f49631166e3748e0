/** The error with which the API server rejects a request. */
import { KubeError } from '#shared/kube/error.ts';

export async function refusal(attempt: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await attempt.then(
    () => new Error('was accepted'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof KubeError)) throw error;
  return error;
}
