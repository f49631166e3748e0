/** `spec.pod.template`: the user's part of the pod template, merged last, except what the cache needs in order to work. */
import { LAST_PEER_PORT, POD_PORT } from '#crds/names.ts';
import type { PodTemplateSpec } from '#operator/api/kubernetes.ts';
import type { OrcaCache } from '#operator/api/orca-cache.ts';
import { isObject, strategicMerge, type JsonObject } from './strategic-merge.ts';

const PATH = 'spec.pod.template';
const CACHE_CONTAINER = 'cache';
/** What replaces each of them, if anything does. */
const FIXED_POD_FIELDS: Readonly<Record<string, string>> = {
  serviceAccountName: 'the pods need their own account to find each other',
  serviceAccount: 'the pods need their own account to find each other',
  automountServiceAccountToken: 'the pods watch EndpointSlices',
  terminationGracePeriodSeconds: 'it follows from spec.shutdown',
  restartPolicy: 'pods of a Deployment always restart',
  activeDeadlineSeconds: 'pods of a Deployment have no deadline',
  hostNetwork: 'all replicas use the same ports',
  ephemeralContainers: 'a template cannot have them',
};
const FIXED_CONTAINER_FIELDS: Readonly<Record<string, string>> = {
  image: 'use spec.pod.image',
  args: 'the operator sets them',
  command: 'the operator sets it',
  resources: 'use spec.pod.resources',
  livenessProbe: 'the operator sets it',
  readinessProbe: 'the operator sets it',
  startupProbe: 'the operator sets it',
};

/** The merged template. Call it only if `overlayProblem` finds none. */
export function withOverlay(base: PodTemplateSpec, cache: OrcaCache): PodTemplateSpec {
  const { template } = cache.spec.pod;
  // The API server checks the result: what is not a pod template is refused, with the field.
  return template === undefined ? base : strategicMerge(base, template);
}

/** The first field that must not be set, with the reason. Undefined if the template is accepted. */
export function overlayProblem(base: PodTemplateSpec, cache: OrcaCache): string | undefined {
  const { template } = cache.spec.pod;
  if (template === undefined) return undefined;
  const spec = template.spec ?? {};
  return (
    removal(template, PATH) ??
    takenLabel(base, template.metadata?.labels ?? {}) ??
    fixedField(spec, FIXED_POD_FIELDS, `${PATH}.spec`) ??
    takenName(namesOf(base.spec?.volumes), spec['volumes'], 'name', `${PATH}.spec.volumes`) ??
    containerProblem(base, spec)
  );
}

/** Null and directives such as `$patch` remove fields. */
function removal(value: unknown, path: string): string | undefined {
  if (value === null) return `${path} must not be null: a template cannot remove fields`;
  const entries = Array.isArray(value) ? [...value.entries()] : isObject(value) ? Object.entries(value) : [];
  for (const [key, member] of entries) {
    const at = typeof key === 'number' ? `${path}[${key}]` : `${path}.${key}`;
    if (String(key).startsWith('$')) return `${at} is not supported: a template cannot remove fields`;
    const found = removal(member, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

function takenLabel(base: PodTemplateSpec, labels: Readonly<Record<string, string>>): string | undefined {
  const own = base.metadata?.labels ?? {};
  const taken = Object.entries(labels).find(([name, value]) => own[name] !== undefined && own[name] !== value);
  return (
    taken && `${PATH}.metadata.labels["${taken[0]}"] must not be changed: Services and the Deployment select by it`
  );
}

function fixedField(value: JsonObject, fixed: Readonly<Record<string, string>>, path: string): string | undefined {
  const name = Object.keys(fixed).find((candidate) => value[candidate] !== undefined);
  return name && `${path}.${name} must not be set: ${fixed[name]}`;
}

function containerProblem(base: PodTemplateSpec, spec: JsonObject): string | undefined {
  const own = base.spec?.containers[0];
  for (const list of ['containers', 'initContainers'] as const) {
    const path = `${PATH}.spec.${list}`;
    const containers = spec[list] ?? [];
    if (!Array.isArray(containers)) return `${path} must be a list`;
    for (const [index, container] of (containers as readonly unknown[]).entries()) {
      if (!isObject(container) || typeof container['name'] !== 'string') return `${path}[${index}].name is required`;
      const at = `${path}[${container['name']}]`;
      const isCache = list === 'containers' && container['name'] === CACHE_CONTAINER;
      const problem =
        takenPort(container['ports'], `${at}.ports`) ??
        (isCache
          ? (fixedField(container, FIXED_CONTAINER_FIELDS, at) ??
            takenName(namesOf(own?.env), container['env'], 'name', `${at}.env`) ??
            takenName(
              (own?.volumeMounts ?? []).map(({ mountPath }) => mountPath),
              container['volumeMounts'],
              'mountPath',
              `${at}.volumeMounts`,
            ))
          : undefined);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

/** All containers of a pod share its ports. */
function takenPort(ports: unknown, path: string): string | undefined {
  const taken = itemsOf(ports)
    .map(({ containerPort }) => Number(containerPort))
    .find((port) => port >= POD_PORT.ops && port <= LAST_PEER_PORT);
  if (taken === undefined) return undefined;
  return `${path} must not contain ${taken}: the cache uses ${POD_PORT.ops} to ${LAST_PEER_PORT}`;
}

function takenName(own: readonly string[], list: unknown, key: string, path: string): string | undefined {
  const named = new Set(itemsOf(list).map((item) => item[key]));
  const taken = own.find((name) => named.has(name));
  return taken && `${path} must not contain ${taken}: the operator sets it`;
}

function itemsOf(list: unknown): readonly JsonObject[] {
  return Array.isArray(list) ? list.filter(isObject) : [];
}

function namesOf(list: readonly { readonly name: string }[] | undefined): readonly string[] {
  return (list ?? []).map(({ name }) => name);
}
