/** What a builder knows besides the cache itself: values that the reconcile read, rendered or drew before it asks for children. */
export interface BuildContext {
  /** The image and pull policy that the operator was installed with; a cache may name its own. */
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** The pod's config file and its hash. */
  readonly config: { readonly yaml: string; readonly hash: string };
  /** The hashes that a pod has proven to work with, of those that pods may still be started with. */
  readonly provenConfigs: readonly string[];
  /** Fresh random key, used only where no peer secret exists yet. */
  readonly newPeerKeyBase64: string;
}
