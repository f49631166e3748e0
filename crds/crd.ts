/** The CustomResourceDefinitions as objects: the schemas of the resources, with names and printer columns. */
import type { Schema } from '#crds/schema/json-schema.ts';
import type { Definition } from './definition.ts';
import { CATEGORY, GROUP, VERSION } from './names.ts';
import { ORCA_CACHE } from './orca-cache.ts';
import { ORCA_PREWARM } from './orca-prewarm.ts';

/** In the order of installation. */
export const DEFINITIONS: readonly Definition[] = [ORCA_CACHE, ORCA_PREWARM];

export function customResourceDefinition({ names, resource, columns, subresources }: Definition) {
  const { crdName, shortName, ...rest } = names;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: crdName },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { ...rest, shortNames: [shortName], categories: [CATEGORY] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources,
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: structural(resource) },
        },
      ],
    },
  };
}

/** The schema in the form that Kubernetes accepts: without the TypeScript side of the rules. */
export function structural(schema: Schema): Schema {
  const { properties, items, additionalProperties, 'x-kubernetes-validations': rules, ...rest } = schema;
  return {
    ...rest,
    ...(additionalProperties === undefined ? {} : { additionalProperties: structural(additionalProperties) }),
    ...(items === undefined ? {} : { items: structural(items) }),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, structural(value)])) }),
    ...(rules === undefined
      ? {}
      : {
          'x-kubernetes-validations': rules.map(({ holds: _holds, explain: _explain, reads: _reads, ...rule }) => rule),
        }),
  };
}
