/** The input of the builders besides the cache itself: the operator's settings and values computed by the reconcile. */
export interface BuildContext {
  /** Image and pull policy from the operator's installation; the spec of a cache may override them. */
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** The pod's config file and its hash. */
  readonly config: { readonly yaml: string; readonly hash: string };
  /** Hashes of the proven configurations that pods may still start with. */
  readonly provenConfigs: readonly string[];
  /** A new random key; used only if the peer-auth Secret does not exist yet, or for a rotation. */
  readonly newPeerKeyBase64: string;
}
