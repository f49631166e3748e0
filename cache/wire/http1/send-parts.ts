import type { Connection } from './connection.ts';

/**
 * Writes the parts in order, each after the kernel took the one before. A failed write shows as the connection's end.
 */
export function sendParts(
  connection: Connection,
  parts: readonly (Uint8Array | string)[],
  onProgress: () => void,
  onDone: () => void,
): void {
  const step = (index: number): void => {
    const part = parts[index];
    if (part === undefined) {
      onDone();
      return;
    }
    connection.write(part, (error) => {
      if (error !== null && error !== undefined) return;
      onProgress();
      step(index + 1);
    });
  };
  step(0);
}
