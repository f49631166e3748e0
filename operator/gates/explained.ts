/** The reasons for which each pod has had an event, so that there is one event for a reason in a term. */
export interface Explained {
  /** False from the second time on. */
  isNew(uid: string, reason: string): boolean;
  forget(uid: string): void;
}

export function openExplained(): Explained {
  const reasons = new Map<string, Set<string>>();
  return {
    isNew(uid, reason) {
      const known = reasons.get(uid) ?? new Set();
      reasons.set(uid, known);
      if (known.has(reason)) return false;
      known.add(reason);
      return true;
    },
    forget: (uid) => void reasons.delete(uid),
  };
}
