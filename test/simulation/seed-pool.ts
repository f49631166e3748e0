/** Runs seeds concurrently, one thread per core: a run is limited only by the CPU. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

export interface SeedReport {
  readonly seed: number;
  /** The command that replays it. */
  readonly failure: string | undefined;
  readonly summary: string;
  readonly traceHash: string;
}

export interface SeedPool extends AsyncDisposable {
  /** Waits for a free thread. Rejects if the thread fails. */
  run(seed: number): Promise<SeedReport>;
}

interface Job {
  readonly seed: number;
  readonly resolve: (report: SeedReport) => void;
  readonly reject: (error: unknown) => void;
}

export function openSeedPool(threads = availableParallelism()): SeedPool {
  const waiting: Job[] = [];
  const running = new Map<Worker, Job>();
  const idle: Worker[] = [];
  const workers = Array.from({ length: threads }, () => {
    const worker = new Worker(new URL('seed-worker.ts', import.meta.url));
    worker.on('message', (report: SeedReport) => {
      running.get(worker)?.resolve(report);
      running.delete(worker);
      idle.push(worker);
      next();
    });
    worker.on('error', (error) => running.get(worker)?.reject(error));
    return worker;
  });
  idle.push(...workers);

  function next(): void {
    while (idle.length > 0 && waiting.length > 0) {
      const [worker, job] = [idle.pop()!, waiting.shift()!];
      running.set(worker, job);
      // The target origin exists only for windows.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      worker.postMessage(job.seed);
    }
  }

  return {
    run: (seed) =>
      new Promise((resolve, reject) => {
        waiting.push({ seed, resolve, reject });
        next();
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
