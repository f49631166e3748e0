/**
 * The pods of a run: their processes, what each process sees of the cluster, and the faults of whole processes, pods and
 * the network between them. A pod that is lost, drains or is cut off takes all of its workers with it; one worker may also
 * crash alone, and returns at the same address without any change of the views.
 */
import type { PeerAddress } from '#cache/engine/ports.ts';
import { addressesOf, checkView, membersOf, viewOf, type Member } from './membership.ts';
import type { SimPeers } from './peers.ts';
import type { Random } from './random.ts';
import {
  kill,
  startProcess,
  stopLoops,
  type Incarnation,
  type Pod,
  type Replica,
  type ReplicaParts,
} from './replica.ts';
import type { FaultWindow, PodPlan, RollPlan, Scenario } from './scenario.ts';
import { NO_OWNER, type World } from './world.ts';

const MAX_PODS = 7;
/** How long a worker that has crashed takes to run again: the delay of the supervisor, and the start of Node. */
const LEAST_RESTART_MS = 200;
const MOST_RESTART_MS = 10_000;

export interface ClusterOptions {
  readonly world: World;
  readonly scenario: Scenario;
  readonly peers: SimPeers;
  readonly random: Random;
  /** Draws only for pods with several workers, and for changes of their number. */
  readonly workerRandom: Random;
  /** What a process is started with. */
  readonly parts: ReplicaParts;
  /** A process has shut down, with nothing in progress. */
  readonly onDrained: (process: Incarnation) => void;
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #world: World;
  readonly #pods: Pod[] = [];
  readonly #byAddress = new Map<PeerAddress, Replica>();
  /** What a new pod is like. */
  #wanted: PodPlan;
  #started = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#world = options.world;
    this.#wanted = options.scenario.pods;
  }

  start(count: number): void {
    for (let i = 0; i < count; i++) this.#addPod();
    for (const pod of this.#pods) this.#bootPod(pod);
    for (const plan of this.#options.scenario.rolls)
      this.#world.at(plan.atMs, NO_OWNER, 'roll', () => this.#roll(plan));
  }

  replicaAt(address: PeerAddress): Replica | undefined {
    return this.#byAddress.get(address);
  }

  isPod(ip: string): boolean {
    return this.#pods.some((pod) => pod.ip === ip && pod.state !== 'removed');
  }

  live(): Incarnation[] {
    const live: Incarnation[] = [];
    for (const { process } of this.#byAddress.values())
      if (process !== undefined && process.owner.state !== 'dead') live.push(process);
    return live;
  }

  /** The processes that clients may connect to, draining ones included. */
  reachable(): Incarnation[] {
    return this.live().filter(({ address }) => this.#byAddress.get(address)?.pod.state !== 'removed');
  }

  /** The processes of pods that stay. */
  serving(): Incarnation[] {
    return this.live().filter(({ address }) => this.#byAddress.get(address)?.pod.state === 'serving');
  }

  victim(window: FaultWindow): Incarnation | undefined {
    const live = this.live();
    return live[Math.floor(window.which * live.length)];
  }

  /** The processes of the same pod, including the process itself. */
  workersWith(process: Incarnation): Incarnation[] {
    const pod = this.#byAddress.get(process.address)?.pod;
    return this.live().filter(({ address }) => this.#byAddress.get(address)?.pod === pod);
  }

  /** Whether all replicas have the same owners, all of which run and are reachable. */
  isStable(live = this.live()): boolean {
    const [first] = live;
    if (first === undefined || this.#options.peers.isParted) return false;
    return (
      live.every(({ owner, view }) => owner.state === 'running' && view.epoch === first.view.epoch) &&
      first.view.owners.every((address) => this.#byAddress.get(address)?.process?.owner.state === 'running')
    );
  }

  // -- faults

  freeze(window: FaultWindow, forMs: number): void {
    const process = this.victim(window);
    if (process === undefined) return;
    for (const { owner } of window.way < 0.5 ? this.workersWith(process) : [process]) {
      if (owner.state !== 'running') continue;
      owner.state = 'frozen';
      this.#world.note('freeze', `${owner.name} for ${forMs} ms`);
      this.#world.at(forMs, NO_OWNER, 'thaw', () => this.#world.thaw(owner));
    }
  }

  partition(window: FaultWindow): void {
    const { peers } = this.#options;
    const a = this.#pods[Math.floor(window.which * this.#pods.length)]!.ip;
    const b = this.#pods[Math.floor(window.way * this.#pods.length)]!.ip;
    if (a === b) return;
    peers.part(a, b);
    this.#world.note('partition', `${a} | ${b}`);
    this.#world.at(window.toMs - window.fromMs, NO_OWNER, 'join', () => peers.join(a, b));
  }

  crash(window: FaultWindow, downMs: number): void {
    const process = this.victim(window);
    if (process !== undefined) this.#crashPod(this.#byAddress.get(process.address)!.pod, window.way < 0.5, downMs);
  }

  /** A process that crashes alone: its pod, if it has no other. */
  crashProcess(process: Incarnation, isNoticed: boolean, downMs: number): void {
    if (process.owner.state === 'dead') return;
    const replica = this.#byAddress.get(process.address)!;
    if (replica.pod.replicas.length > 1) this.#crashWorker(replica, downMs);
    else this.#crashPod(replica.pod, isNoticed, downMs);
  }

  crashWorker(which: number): void {
    const several = this.live().filter(({ address }) => this.#byAddress.get(address)!.pod.replicas.length > 1);
    const process = several[Math.floor(which * several.length)];
    if (process === undefined) return;
    const downMs = this.#options.workerRandom.magnitude(LEAST_RESTART_MS, MOST_RESTART_MS);
    this.#crashWorker(this.#byAddress.get(process.address)!, downMs);
  }

  leave(window: FaultWindow): void {
    const process = this.victim(window);
    const pod = process && this.#byAddress.get(process.address)?.pod;
    if (pod?.state === 'serving' && this.#pods.filter(({ state }) => state === 'serving').length > 1)
      this.#drainPod(pod);
  }

  join(): void {
    if (this.#pods.length >= MAX_PODS) return;
    this.#bootPod(this.#addPod());
    this.#announce();
  }

  /** Gives one process a view that differs from all others. */
  skew(window: FaultWindow): void {
    const process = this.victim(window);
    if (process === undefined) return;
    const { pod } = this.#byAddress.get(process.address)!;
    const all = this.#pods.filter(({ state }) => state === 'serving');
    const seen = all.filter((other, index) => other === pod || (index / all.length + window.way) % 1 < 0.5);
    if (!seen.includes(pod)) seen.push(pod);
    const members: Member[] = seen.map(({ ip, replicas }) => ({ ip, workers: replicas.length, isTerminating: false }));
    if (window.way > 0.8) members.push({ ip: '10.0.9.9', workers: this.#wanted.workers, isTerminating: false });
    process.setView(viewOf(this.#byAddress.get(process.address)!, members));
    this.#world.note('skew', `${process.owner.name} sees ${process.view.owners.join(' ')}`);
    this.#world.at(window.toMs - window.fromMs, process.owner, 'view', () => this.#updateView(process));
  }

  heal(): void {
    for (const process of this.live()) this.#world.thaw(process.owner);
    for (const a of this.#pods) for (const b of this.#pods) this.#options.peers.join(a.ip, b.ip);
    for (const pod of this.#pods) if (pod.state === 'serving') this.#bootPod(pod);
    this.#announce();
  }

  /** After all faults, all processes have the same owners, which run. Otherwise every second fill would be excused. */
  checkAgreement(): void {
    const live = this.live();
    if (this.isStable(live) || this.#world.violation !== undefined) return;
    const views = live.map(({ owner, view }) => `${owner.name} ${owner.state} ${view.owners.join(' ')}`);
    this.#world.violate('replicas agree', `after all faults have ended: ${views.join('; ')}`);
  }

  // -- pods

  #addPod(): Pod {
    const { workers, isEarlier } = this.#wanted;
    const ip = `10.0.0.${this.#pods.length + 1}`;
    const replicas: Replica[] = [];
    const pod: Pod = { ip, replicas, isEarlier, state: 'serving', isLeaving: false };
    for (const [worker, address] of addressesOf(ip, workers).entries()) {
      const replica: Replica = { address, pod, worker, process: undefined };
      replicas.push(replica);
      this.#byAddress.set(address, replica);
    }
    this.#pods.push(pod);
    return pod;
  }

  #bootPod(pod: Pod): void {
    for (const replica of pod.replicas) if (replica.process === undefined) this.#boot(replica);
  }

  #boot(replica: Replica): void {
    const members = membersOf(this.#pods);
    const view = viewOf(replica, members);
    replica.process = startProcess(this.#options.parts, ++this.#started, replica, view);
    replica.process.setView(view);
    checkView(this.#world, replica, members, view);
    this.#world.note('boot', replica.process.owner.name);
  }

  /** The Service has changed: each process learns of it after a delay of its own. */
  #announce(): void {
    for (const process of this.live()) {
      const delayMs = 100 + this.#options.random.next() ** 2 * 3_000;
      this.#world.at(delayMs, process.owner, 'view', () => this.#updateView(process));
    }
  }

  #updateView(process: Incarnation): void {
    const replica = this.#byAddress.get(process.address)!;
    const members = membersOf(this.#pods);
    process.setView(viewOf(replica, members));
    checkView(this.#world, replica, members, process.view);
    this.#world.note('view', `${process.owner.name} sees ${process.view.owners.join(' ')}`);
  }

  #crashPod(pod: Pod, isNoticed: boolean, downMs: number): void {
    if (this.live().every(({ address }) => this.#byAddress.get(address)?.pod === pod)) return;
    for (const replica of pod.replicas) this.#kill(replica);
    if (isNoticed && pod.state === 'serving') {
      pod.state = 'removed';
      this.#announce();
    }
    this.#world.at(downMs, NO_OWNER, 'restart', () => {
      if (pod.isLeaving) return;
      pod.state = 'serving';
      this.#bootPod(pod);
      this.#announce();
    });
  }

  /** Its supervisor starts it again. The kernel refuses connections meanwhile; the pod stays ready. */
  #crashWorker(replica: Replica, downMs: number): void {
    if (this.live().length < 2) return;
    this.#kill(replica);
    this.#world.at(downMs, NO_OWNER, 'restart', () => {
      if (replica.pod.state === 'serving' && replica.process === undefined) this.#boot(replica);
    });
  }

  #kill(replica: Replica): void {
    const { process } = replica;
    if (process === undefined || process.owner.state === 'dead') return;
    this.#world.note('crash', process.owner.name);
    kill(process, this.#options.parts);
    replica.process = undefined;
    this.#endIfLeft(replica.pod);
  }

  /** One pod after the other: a new one is added, then an old one leaves. */
  #roll({ pods, stepMs }: RollPlan): void {
    this.#wanted = pods;
    this.#world.note('roll', `to ${pods.workers} workers, ${pods.isEarlier ? 'earlier' : 'this'} release`);
    const old = this.#pods.filter(({ isLeaving }) => !isLeaving);
    for (const [step, pod] of old.entries()) {
      this.#world.at(step * stepMs, NO_OWNER, 'roll', () => {
        this.#bootPod(this.#addPod());
        this.#announce();
      });
      this.#world.at((step + 0.5) * stepMs, NO_OWNER, 'roll', () => {
        if (pod.isLeaving) return;
        // The new one may have been deleted since: a Deployment replaces it.
        if (!this.#pods.some((other) => other !== pod && other.state === 'serving')) this.#bootPod(this.#addPod());
        this.#drainPod(pod);
      });
    }
  }

  #drainPod(pod: Pod): void {
    pod.isLeaving = true;
    if (pod.state === 'serving') pod.state = 'terminating';
    this.#announce();
    for (const replica of pod.replicas) {
      const { process } = replica;
      if (process === undefined) continue;
      this.#world.note('leave', process.owner.name);
      void this.#drain(replica, process);
    }
    this.#endIfLeft(pod);
  }

  /** Shuts down as `main.ts` does, within the same limits. */
  async #drain(replica: Replica, process: Incarnation): Promise<void> {
    const { clock, engine } = process;
    await clock.sleep(5_000);
    for (let waitedMs = 0; waitedMs < 60_000 && process.serving > 0; waitedMs += 250) await clock.sleep(250);
    const limit = new AbortController();
    const cancel = clock.after(10_000, () => limit.abort());
    stopLoops(process);
    await engine.flush(limit.signal);
    cancel();
    this.#options.onDrained(process);
    this.#world.note('left', process.owner.name);
    kill(process, this.#options.parts);
    replica.process = undefined;
    this.#endIfLeft(replica.pod);
  }

  /** A pod is removed when its last worker has ended. */
  #endIfLeft(pod: Pod): void {
    if (!pod.isLeaving || pod.replicas.some(({ process }) => process !== undefined)) return;
    pod.state = 'removed';
    this.#announce();
  }
}
