/**
 * The subset of JSON Schema that a structural Kubernetes schema may use, and `Infer<typeof schema>`, the TypeScript type
 * of the values that a schema admits. Deriving the type keeps it equal to the schema.
 */

export interface Rule {
  /** CEL for the API server; absent if only the pod's file has the field. */
  readonly rule?: string;
  /** One line, without the path. */
  readonly message: string;
  readonly fieldPath?: string;
  /** The same rule in TypeScript, for the pod and for tests; absent on rules that compare with the old object. */
  readonly holds?: (value: never) => boolean;
  /** A message with values, which begins with `message`. CEL for it would exceed the cost that the API server permits. */
  readonly explain?: (value: never) => string;
  /** The members that `holds` reads, if not all of them: the rule then runs even if other members are malformed. */
  readonly reads?: readonly string[];
}

export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  /**
   * Only for the API server, beside a rule that checks the same: before Kubernetes 1.34 it estimates the cost of a rule for
   * `x-kubernetes-int-or-string` as if the text were 3 MB long, which makes `matches` too expensive in a list.
   */
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: 'int32' | 'int64' | 'date-time';
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly maxProperties?: number;
  readonly 'x-kubernetes-int-or-string'?: true;
  /** An object with any members. */
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'map' | 'set';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic';
  readonly 'x-kubernetes-validations'?: readonly Rule[];
}

/** Values that the schema admits after defaulting: a field with a default is always present. */
export type Infer<S> = S extends { readonly 'x-kubernetes-int-or-string': true }
  ? string | number
  : S extends { readonly 'x-kubernetes-preserve-unknown-fields': true }
    ? Readonly<Record<string, unknown>>
    : S extends { readonly enum: readonly (infer E)[] }
      ? E
      : S extends { readonly type: 'string' }
        ? string
        : S extends { readonly type: 'integer' }
          ? number
          : S extends { readonly type: 'boolean' }
            ? boolean
            : S extends { readonly type: 'array'; readonly items: infer I }
              ? readonly Infer<I>[]
              : S extends { readonly properties: infer P }
                ? Flat<
                    { readonly [K in keyof P as K extends Present<S, P> ? K : never]: Infer<P[K]> } & {
                      readonly [K in keyof P as K extends Present<S, P> ? never : K]?: Infer<P[K]>;
                    }
                  >
                : S extends { readonly additionalProperties: infer A }
                  ? Readonly<Record<string, Infer<A>>>
                  : unknown;

type Present<S, P> = Required<S> | { [K in keyof P]: P[K] extends { readonly default: unknown } ? K : never }[keyof P];
type Required<S> = S extends { readonly required: readonly (infer R)[] } ? R : never;
type Flat<T> = { [K in keyof T]: T[K] };
