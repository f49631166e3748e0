/** Formats a time as Kubernetes MicroTime. The API server rejects fewer than six fractional digits. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
