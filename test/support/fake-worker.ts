/** A worker process as its supervisor sees it; the test plays the process. */
import { EventEmitter } from 'node:events';
import type { FromWorker, ToWorker } from '#cache/workers/messages.ts';
import type { ForkedProcess } from '#cache/workers/worker-slot.ts';

export class FakeWorker extends EventEmitter implements Pick<ForkedProcess, 'pid' | 'send' | 'kill'> {
  readonly pid: number;
  readonly received: ToWorker[] = [];
  readonly signals: (NodeJS.Signals | number)[] = [];
  /** What it answers; undefined = nothing. */
  answer: ((message: ToWorker) => { status?: number; body: string } | undefined) | undefined = () => ({ body: 'ok' });
  /** Signals that end it. */
  obeys: readonly string[] = ['SIGTERM', 'SIGKILL'];

  constructor(pid: number) {
    super();
    this.pid = pid;
  }

  send(message: unknown): boolean {
    const asked = message as ToWorker;
    this.received.push(asked);
    const answer = this.answer?.(asked);
    if (answer !== undefined) this.say({ type: 'answer', id: asked.id, status: 200, headers: {}, ...answer });
    return true;
  }

  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    this.signals.push(signal);
    if (this.obeys.includes(String(signal))) this.exit(null, signal as NodeJS.Signals);
    return true;
  }

  say(message: FromWorker): void {
    this.emit('message', message);
  }

  start(): void {
    this.say({ type: 'listening' });
    this.say({ type: 'ready' });
  }

  exit(code: number | null, signal: NodeJS.Signals | null = null): void {
    this.emit('exit', code, signal);
  }
}
