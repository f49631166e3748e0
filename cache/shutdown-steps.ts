/** The graceful shutdown as an ordered list of bounded steps: stop accepting, finish, commit, then close. */
import type { Config } from '#cache/config/config.ts';
import type { Engine } from '#cache/engine/engine.ts';
import type { HttpListener } from '#cache/http/listener/http-listener.ts';
import type { Readiness } from '#cache/http/ops/readiness.ts';
import type { Clock } from '#shared/clock.ts';
import type { ShutdownStep } from '#shared/lifecycle.ts';

/** For everything after the streams: the ops listener answers its last probe, sockets close. */
const CLOSE_TIMEOUT_MS = 2_000;
/** A chunk that is not committed only costs another fill later. */
const FLUSH_TIMEOUT_MS = 10_000;

export interface ShutdownOptions {
  readonly config: Config['shutdown'];
  readonly clock: Clock;
  readonly readiness: Readiness;
  readonly edge: HttpListener;
  readonly peer: HttpListener;
  readonly engine: Engine;
  /** Resolves when no prewarm is walked here any more, which began to end with the signal to stop. */
  readonly stopPrewarms: () => Promise<void>;
  /** Receives the number of connections that were reset because their drain timed out. */
  readonly onResets: (count: number) => void;
  /** Closes everything else. */
  readonly close: (signal: AbortSignal) => Promise<void>;
}

export function shutdownSteps(options: ShutdownOptions): readonly ShutdownStep[] {
  const { config, clock, readiness, edge, peer, engine, stopPrewarms, onResets, close } = options;
  const { propagationDelayMs, drainTimeoutMs } = config;
  const drain = async (listener: HttpListener, signal: AbortSignal): Promise<void> => {
    onResets((await listener.drain(signal)).resets);
  };
  return [
    {
      // Load balancers keep sending for a moment: accept, and close each connection after its response.
      name: 'propagate',
      timeoutMs: propagationDelayMs + CLOSE_TIMEOUT_MS,
      run: async (signal) => {
        readiness.startDraining();
        edge.startDraining();
        await clock.sleep(propagationDelayMs, signal);
      },
    },
    {
      name: 'finish streams and fills',
      timeoutMs: drainTimeoutMs,
      run: async (signal) => {
        await Promise.all([drain(edge, signal), engine.idle()]);
      },
    },
    {
      // Prewarms have been ending since the signal to stop: they are over by now, or another replica continues them.
      name: 'flush the outbox',
      timeoutMs: FLUSH_TIMEOUT_MS,
      run: async (signal) => {
        await Promise.all([engine.flush(signal), stopPrewarms()]);
      },
    },
    { name: 'drain peers', timeoutMs: CLOSE_TIMEOUT_MS, run: (signal) => drain(peer, signal) },
    { name: 'close', timeoutMs: CLOSE_TIMEOUT_MS, run: close },
  ];
}
