/**
 * Which bytes of which chunk came from the origin, and when. A byte that comes twice needs an excuse of its own: some
 * event since it last came, by which the cluster could not help asking again.
 */
import type { World } from './world.ts';

interface Span {
  readonly from: number;
  to: number;
  order: number;
  /** The fill that brought it; a fill must not ask twice for the same byte, whatever happens. */
  readonly flight: object | undefined;
}

interface Account {
  spans: Span[];
  excusedAt: number;
  reason: string;
}

export class Ledger {
  readonly #world: World;
  readonly #accounts = new Map<string, Account>();
  readonly #again: (path: string, sinceOrder: number) => string | undefined;
  #excusedAt = -1;
  #reason = '';
  totalBytes = 0;
  repeatedBytes = 0;

  /** `again` knows further excuses: why a byte that came at `sinceOrder` may come again now. */
  constructor(world: World, again: (path: string, sinceOrder: number) => string | undefined) {
    this.#world = world;
    this.#again = again;
  }

  excuse(path: string, reason: string): void {
    const account = this.#account(path);
    account.excusedAt = this.#world.order;
    account.reason = reason;
    this.#world.note('excuse', `${path} ${reason}`);
  }

  excuseAll(reason: string): void {
    this.#excusedAt = this.#world.order;
    this.#reason = reason;
    this.#world.note('excuse', `all ${reason}`);
  }

  /** `[from, to)` of the chunk has arrived at a replica. */
  delivered(path: string, from: number, to: number, flight: object | undefined): void {
    const account = this.#account(path);
    const { order } = this.#world;
    this.totalBytes += to - from;
    const rest: Span[] = [];
    for (const span of account.spans) {
      const start = Math.max(span.from, from);
      const end = Math.min(span.to, to);
      if (start >= end) {
        rest.push(span);
        continue;
      }
      this.#repeated(path, account, span, start, end, flight);
      if (span.from < start) rest.push({ ...span, to: start });
      if (end < span.to) rest.push({ ...span, from: end });
    }
    const last = rest.find((span) => span.to === from && span.flight === flight && span.order === order);
    if (last === undefined) rest.push({ from, to, order, flight });
    else last.to = to;
    account.spans = rest;
  }

  #repeated(path: string, account: Account, span: Span, from: number, to: number, flight: object | undefined): void {
    this.repeatedBytes += to - from;
    const what = `bytes [${from}, ${to}) of ${path} came from the origin again`;
    if (flight !== undefined && flight === span.flight) {
      this.#world.violate('one fill per chunk', `${what}, within one fill`);
      return;
    }
    const reason =
      account.excusedAt > span.order
        ? account.reason
        : this.#excusedAt > span.order
          ? this.#reason
          : this.#again(path, span.order);
    if (reason === undefined) this.#world.violate('one fill per chunk', `${what}, without an excuse`);
    else this.#world.note('again', `${what}: ${reason}`);
  }

  #account(path: string): Account {
    const known = this.#accounts.get(path);
    if (known !== undefined) return known;
    const account: Account = { spans: [], excusedAt: -1, reason: '' };
    this.#accounts.set(path, account);
    return account;
  }
}
