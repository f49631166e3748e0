/** Checks that look at one text of each pod's `/status`. */
import type { CacheReport, PodReport } from '#cache/cli/replies/gather.ts';
import { grouped, named, type Check, type Trouble } from './check.ts';

export const podName = ({ pod }: PodReport): string => pod.name;
export const answering = ({ pods }: CacheReport): readonly PodReport[] =>
  pods.filter(({ status }) => status !== undefined);

/** A trouble for the pods whose `/status` has it, by its text. */
export function statusCheck(
  id: string,
  title: string,
  textOf: (status: unknown) => string | undefined,
  troubleOf: (text: string, names: string) => Trouble,
): Check {
  return {
    id,
    title,
    run(report) {
      const pods = answering(report);
      if (pods.length === 0) return undefined;
      const groups = grouped(pods, podName, ({ status }) => textOf(status));
      return [...groups].map(([text, names]) => troubleOf(text, named(names)));
    },
  };
}

/** A trouble for each text, with the pods that have it. */
export function perText(
  pods: readonly PodReport[],
  textOf: (pod: PodReport) => string | undefined,
  troubleOf: (text: string, names: string) => Trouble,
): readonly Trouble[] {
  return [...grouped(pods, podName, textOf)].map(([text, names]) => troubleOf(text, named(names)));
}
