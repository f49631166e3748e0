/** What a resource consists of, from which its CustomResourceDefinition is made. */
import type { Schema } from '#crds/schema/json-schema.ts';

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly description: string;
  /** 1: only with `-o wide`. */
  readonly priority?: 1;
}

export interface Definition {
  readonly names: {
    readonly kind: string;
    readonly listKind: string;
    readonly plural: string;
    readonly singular: string;
    readonly shortName: string;
    readonly crdName: string;
  };
  readonly resource: Schema;
  /** Columns of `kubectl get`. */
  readonly columns: readonly Column[];
  readonly subresources: Readonly<Record<string, object>>;
}

export function column(name: string, type: string, jsonPath: string, description: string): Column {
  return { name, type, jsonPath, description };
}

export function conditionField(condition: string, field: string): string {
  return `.status.conditions[?(@.type=="${condition}")].${field}`;
}
