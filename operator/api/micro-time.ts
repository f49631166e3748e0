/** Kubernetes' MicroTime: six digits, since the API server refuses fewer. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
