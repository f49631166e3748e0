/**
 * Memory between runs. Node keeps every signal of `AbortSignal.any` that has listeners until it aborts, and with it
 * what the listeners refer to. The calls of a process that dies in the simulation never end, so a run would leave all
 * memory of its dead engines behind.
 */
import { getEventListeners } from 'node:events';

type Listener = Parameters<AbortSignal['removeEventListener']>[1];

const any = AbortSignal.any.bind(AbortSignal);

/** `Symbol.dispose` removes the listeners of all signals that were combined meanwhile, without calling them. */
export function recordSignals(): Disposable {
  const combined: WeakRef<AbortSignal>[] = [];
  AbortSignal.any = (signals) => {
    const signal = any(signals);
    combined.push(new WeakRef(signal));
    return signal;
  };
  return {
    [Symbol.dispose]() {
      AbortSignal.any = any;
      for (const reference of combined) {
        const signal = reference.deref();
        if (signal === undefined) continue;
        for (const listener of getEventListeners(signal, 'abort') as Listener[])
          signal.removeEventListener('abort', listener);
      }
    },
  };
}
