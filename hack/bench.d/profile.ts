/** Takes a CPU profile of a running Node.js process through its inspector, and lists the functions. */
import type { Child } from './child.ts';

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  /** `name file:line`. */
  readonly place: string;
  readonly milliseconds: number;
  /** Share of the time in which the process was not idle. */
  readonly share: number;
}

/** Short enough for functions that take microseconds, long enough to keep the overhead small. */
const INTERVAL_US = 250;
const IDLE = '(idle)';

/** The functions by self time, longest first. Pure. */
export function selfTimes(profile: CpuProfile, count: number): SelfTime[] {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const microseconds = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const place = names.get(id) ?? '(unknown)';
    microseconds.set(place, (microseconds.get(place) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  microseconds.delete(IDLE);
  const busy = [...microseconds.values()].reduce((sum, time) => sum + time, 0);
  return [...microseconds]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([place, time]) => ({ place, milliseconds: time / 1000, share: busy === 0 ? 0 : time / busy }));
}

function placeOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName;
  const file = url.replace(/^file:\/\//, '').replace(/^.*\/(?=(?:cache|shared|node_modules)\/)/, '');
  return `${functionName === '' ? '(anonymous)' : functionName} ${file}:${lineNumber + 1}`;
}

/** Profiles a process that was started with `--inspect` while `work` runs. */
export async function profileWhile(child: Child, work: () => Promise<void>): Promise<CpuProfile> {
  const address = /ws:\/\/\S+/.exec(child.recentOutput())?.[0];
  if (address === undefined) throw new Error('the process has no inspector');
  const socket = new WebSocket(address);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('error', () => reject(new Error(`no connection to ${address}`)), { once: true });
  });
  let serial = 0;
  const call = (method: string, params: Readonly<Record<string, unknown>> = {}): Promise<unknown> => {
    const id = ++serial;
    return new Promise((resolve) => {
      const onMessage = ({ data }: MessageEvent) => {
        const message = JSON.parse(String(data)) as { readonly id?: number; readonly result?: unknown };
        if (message.id !== id) return;
        socket.removeEventListener('message', onMessage);
        resolve(message.result);
      };
      socket.addEventListener('message', onMessage);
      socket.send(JSON.stringify({ id, method, params }));
    });
  };
  try {
    await call('Profiler.enable');
    await call('Profiler.setSamplingInterval', { interval: INTERVAL_US });
    await call('Profiler.start');
    await work();
    const { profile } = (await call('Profiler.stop')) as { readonly profile: CpuProfile };
    return profile;
  } finally {
    socket.close();
  }
}
