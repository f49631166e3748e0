/** What the supervisor and its workers tell each other through the channel that `fork` opens. */

/** A request to the ops API of one worker. Its bodies are text. */
export interface OpsRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface OpsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type ToWorker = { readonly type: 'ask'; readonly id: number } & OpsRequest;

export type FromWorker =
  /** Its peer port accepts calls. */
  | { readonly type: 'listening' }
  /** It is ready, and its edge port accepts clients. */
  | { readonly type: 'ready' }
  | ({ readonly type: 'answer'; readonly id: number } & OpsAnswer);

/** Only the supervisor can request it: the metrics as JSON, to be aggregated. */
export const WORKER_METRICS_PATH = '/worker/metrics';

/** `INDEX/COUNT`: the environment variable that makes a process a worker. */
export const WORKER_VARIABLE = 'ORCA_WORKER';
/** The exit status of a worker whose configuration is invalid (EX_CONFIG in BSD): another start would not help. */
export const CONFIG_EXIT_CODE = 78;

export interface WorkerIdentity {
  readonly index: number;
  /** As the supervisor resolved `auto`. */
  readonly count: number;
}

/** Undefined = this process has no supervisor. */
export function workerIdentity(
  env: Readonly<Record<string, string | undefined>>,
  hasChannel: boolean,
): WorkerIdentity | undefined {
  const match = /^(\d{1,2})\/(\d{1,2})$/.exec(env[WORKER_VARIABLE] ?? '');
  // Without a channel the variable was inherited, such as by a command in the container.
  return match === null || !hasChannel ? undefined : { index: Number(match[1]), count: Number(match[2]) };
}
