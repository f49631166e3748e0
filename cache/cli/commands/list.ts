/** All commands, in the order of the help. */
import type { Command } from '#cache/cli/frame/command.ts';
import { completion } from './completion.ts';
import { doctor } from './doctor.ts';
import { du } from './du.ts';
import { explain } from './explain.ts';
import { ls } from './ls.ts';
import { pin } from './pin.ts';
import { pins } from './pins.ts';
import { prewarm } from './prewarm.ts';
import { purge } from './purge.ts';
import { status } from './status.ts';
import { top } from './top.ts';
import { unpin } from './unpin.ts';

export const COMMANDS: readonly Command[] = [
  status,
  top,
  doctor,
  ls,
  du,
  explain,
  prewarm,
  pin,
  unpin,
  pins,
  purge,
  completion,
];
