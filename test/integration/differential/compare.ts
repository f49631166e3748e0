/** Sends the same requests to two servers, and reports how their responses differ. */
import { aspectsOf, differing, type Aspects } from './aspects.ts';
import { nameOf, request, send, type Request, type Server } from './request.ts';
import { OBJECT, requests, type Versions } from './requests.ts';

/** Enough to keep both servers busy without overloading them. */
export const AT_ONCE = 8;

/** A known difference. Requests and aspects are written as a failing test prints them. */
export interface Difference {
  readonly reason: string;
  /** Requests, by name. */
  readonly where: RegExp;
  /** Aspects, and their values of the first server and the second; undefined = any. */
  readonly what?: RegExp | string;
  readonly from?: RegExp | string;
  readonly to?: RegExp | string;
}

export interface Found {
  readonly request: string;
  readonly what: string;
  readonly from: string;
  readonly to: string;
}

/** Sends every request to both servers; it is named as the first one receives it. `masked`: how a response is compared. */
export async function compareAll(
  first: Server,
  second: Server,
  about: Parameters<typeof requests>[1],
  masked: (aspects: Aspects) => Aspects = (aspects) => aspects,
): Promise<Found[]> {
  const [versions, others] = await Promise.all([first, second].map(versionsOf));
  const found: Found[] = [];
  const pairs = requests(versions!, about).map((asked, index) => ({ asked, index }));
  const theOthers = requests(others!, about);
  const next = pairs.values();
  const worker = async (): Promise<void> => {
    for (const { asked, index } of next) {
      const other = theOthers[index]!;
      const answers = await Promise.all([ask(first, asked), ask(second, other)]);
      const [one, two] = answers.map(masked);
      const name = named(asked, versions!);
      for (const pair of differing(one!, two!)) found.push({ request: name, ...pair });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found;
}

/** The deviations that no known difference explains, and the known differences that did not occur. */
export function judge(
  found: readonly Found[],
  known: readonly Difference[],
): { unexplained: Found[]; unused: string[] } {
  const used = new Set<Difference>();
  const unexplained = found.filter((one) => {
    const difference = known.find((candidate) => explains(candidate, one));
    if (difference !== undefined) used.add(difference);
    return difference === undefined;
  });
  return { unexplained, unused: known.filter((difference) => !used.has(difference)).map(({ reason }) => reason) };
}

async function ask(server: Server, asked: Request): Promise<Aspects> {
  return aspectsOf(await send(server, asked), asked.method);
}

async function versionsOf(server: Server): Promise<Versions> {
  const { headers } = await send(server, request(OBJECT, [], { method: 'HEAD' }));
  return { etag: headers.etag ?? '', modifiedMs: Date.parse(headers['last-modified'] ?? '') };
}

/** Replaces texts that differ from run to run. */
function named(asked: Request, { etag, modifiedMs }: Versions): string {
  return nameOf(asked).replaceAll(etag, '<etag>').replaceAll(new Date(modifiedMs).toUTCString(), '<modified>');
}

function explains({ where, what, from, to }: Difference, found: Found): boolean {
  const fits = (pattern: RegExp | string | undefined, text: string): boolean =>
    pattern === undefined || (typeof pattern === 'string' ? pattern === text : pattern.test(text));
  return where.test(found.request) && fits(what, found.what) && fits(from, found.from) && fits(to, found.to);
}
