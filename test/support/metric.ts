/** A metric from `/metrics`: the sum of all its series that have these labels. */
import { http } from './http.ts';

export async function readMetric(
  ops: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { status, body } = await http(ops, '/metrics');
  if (status !== 200) throw new Error(`/metrics of ${ops}: ${status}`);
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return body
    .toString()
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
