/** Input of child processes. */
import type { ChildProcess } from 'node:child_process';

/**
 * Writes the whole input and closes the child's stdin. A program that exits before it has read its input closes the
 * pipe, and the write fails with EPIPE or ECONNRESET. That error is ignored: the program's exit code and stderr give
 * the reason.
 */
export function sendInput(child: ChildProcess, input: string | Uint8Array = ''): void {
  const { stdin } = child;
  stdin?.on('error', () => stdin.destroy());
  stdin?.end(input);
}
