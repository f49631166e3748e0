/** Which faults are active. After `heal`, none is active any more. */
import type { Fault, FaultWindow, Scenario } from './scenario.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

export class Faults {
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly random: Random;
  #healed = false;

  constructor(world: World, scenario: Scenario, random: Random) {
    this.#world = world;
    this.#scenario = scenario;
    this.random = random;
  }

  heal(): void {
    this.#healed = true;
  }

  /** The current time window of the fault. */
  window(fault: Fault): FaultWindow | undefined {
    if (this.#healed || !this.#scenario.faults.has(fault)) return undefined;
    const { nowMs } = this.#world;
    return this.#scenario.windows.find(
      (window) => window.fault === fault && window.fromMs <= nowMs && nowMs < window.toMs,
    );
  }

  /** Whether the fault affects this call. */
  strikes(fault: Fault): FaultWindow | undefined {
    const window = this.window(fault);
    return window !== undefined && this.random.chance(window.probability) ? window : undefined;
  }
}
