/**
 * The reasons of events that are not reasons of a condition. Of a prewarm: about its runs; of a pod: about its gate; of a
 * cache: about its pods.
 */
export const EVENT_REASON = {
  started: 'Started',
  completed: 'Completed',
  failed: 'Failed',
  deadlineExceeded: 'DeadlineExceeded',
  suspended: 'Suspended',
  resumed: 'Resumed',
  pinRefused: 'PinRefused',
  gateRemoved: 'GateRemoved',
  prewarmNotFound: 'PrewarmNotFound',
  prewarmFailed: 'PrewarmFailed',
  workerRestarted: 'WorkerRestarted',
} as const;
