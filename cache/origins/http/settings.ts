/** The settings of an HTTP origin: plain data without a secret. */

export interface HttpOriginSettings {
  /** The base URL of each bucket, with a trailing `/`; keys are appended to it. Other buckets do not exist. */
  readonly urls: Readonly<Record<string, string>>;
  /** Whether an object without a strong ETag is identified by Last-Modified and size, which is weaker. */
  readonly allowLastModified: boolean;
  /** Hosts other than the bucket's own that redirects may lead to: `host[:port]`, or `*.suffix[:port]`. */
  readonly redirectHosts: readonly string[];
  /** A directory with `token` (Bearer), or with `username` and `password` (Basic). */
  readonly credentialsDirectory: string | undefined;
  /** A PEM bundle to trust in addition to the system's certificate authorities. */
  readonly caFile: string | undefined;
}
