/** Which events each pod has had, so that the same reason is told once in a term. */
/** What the events of a pod have said already. */
export interface Told {
  /** False the second time. */
  isNew(uid: string, what: string): boolean;
  forget(uid: string): void;
}

export function openTold(): Told {
  const told = new Map<string, Set<string>>();
  return {
    isNew(uid, what) {
      const said = told.get(uid) ?? new Set();
      told.set(uid, said);
      return !said.has(what) && said.add(what) !== undefined;
    },
    forget: (uid) => void told.delete(uid),
  };
}
