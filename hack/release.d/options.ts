/** What `hack/release VERSION` is called with. Wrong options are reported before anything is built. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readSigningKey, type SigningKey } from './signature.ts';

/** SemVer without build metadata: a tag of an image cannot contain `+`. */
const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
/** A host, which contains a dot or a port or is localhost, and folders. */
const REGISTRY = /^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+(?=:))(:\d{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;
const ARCHITECTURES = ['amd64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export interface ReleaseOptions {
  readonly version: string;
  /** Empty or absent. */
  readonly out: string;
  /** `host/folder` of the images; '' = as the charts name them. */
  readonly registry: string;
  /** URI of what runs the build. */
  readonly builder: string;
  readonly key: SigningKey | undefined;
  readonly architectures: readonly Architecture[];
  /** The prepared node_modules of each image: `cache-amd64` → file. */
  readonly deps: ReadonlyMap<string, string>;
  /** The folder of each architecture's base. */
  readonly bases: ReadonlyMap<string, string>;
  /** The Node.js of each executable's platform: `linux-x64` → file. */
  readonly nodes: ReadonlyMap<string, string>;
  readonly source: Source;
}

export interface Source {
  /** The commit; `-dirty` after it if files have changed since. */
  readonly revision: string;
  /** Time of the commit, or SOURCE_DATE_EPOCH. */
  readonly epochSeconds: number;
}

export class BadInput extends Error {}

export function parseVersion(text: string): string {
  if (VERSION.test(text)) return text;
  const remedy = text.startsWith('v') && VERSION.test(text.slice(1)) ? `: write ${text.slice(1)}` : '';
  throw new BadInput(`VERSION '${text}' is not a semantic version such as 1.2.3 or 1.2.3-rc.1${remedy}`);
}

export function parseRegistry(text: string): string {
  if (text === '' || REGISTRY.test(text)) return text;
  throw new BadInput(
    `--registry '${text}' is not HOST[:PORT][/FOLDER…] in lower case, such as registry.example.com/storage`,
  );
}

export function parsePlatform(text: string): Architecture {
  const found = ARCHITECTURES.find((name) => text === `linux/${name}`);
  if (found !== undefined) return found;
  throw new BadInput(`--platform '${text}' is unknown; choose from: linux/amd64, linux/arm64`);
}

/** A folder with files of an earlier release would be summed and signed with this one. */
export function parseOut(text: string): string {
  if (existsSync(text) && readdirSync(text).length > 0)
    throw new BadInput(`--out ${text} is not empty: choose another folder, or remove its files`);
  return text;
}

export interface GitState {
  readonly commit: string;
  readonly epochSeconds: number;
  /** Changed and untracked files. */
  readonly changed: readonly string[];
}

/** Undefined outside of a git checkout. */
export function gitState(root: string): GitState | undefined {
  const git = (...args: readonly string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [commit = '', time = ''] = git('log', '-1', '--format=%H %ct').trim().split(' ');
    const changed = git('status', '--porcelain').split('\n');
    return { commit, epochSeconds: Number(time), changed: changed.filter((line) => line !== '') };
  } catch {
    return undefined;
  }
}

export function sourceOf(git: GitState | undefined, allowDirty: boolean, epoch = ''): Source {
  if (epoch !== '' && !/^\d{1,10}$/.test(epoch)) throw new BadInput(`SOURCE_DATE_EPOCH '${epoch}' is not in seconds`);
  const given = epoch === '' ? undefined : Number(epoch);
  if (!allowDirty && git === undefined)
    throw new BadInput(
      'this folder is not a git checkout, so that the release has no revision: use a clone, or --allow-dirty',
    );
  if (!allowDirty && git!.changed.length > 0)
    throw new BadInput(
      `the checkout has changes that are in no commit (${git!.changed[0]!.slice(3)}): commit them, or use --allow-dirty`,
    );
  if (git === undefined) return { revision: 'unknown', epochSeconds: given ?? 0 };
  return {
    revision: `${git.commit}${git.changed.length > 0 ? '-dirty' : ''}`,
    epochSeconds: given ?? git.epochSeconds,
  };
}

const text = { type: 'string', default: '' } as const;
const list = { type: 'string', multiple: true, default: [] as string[] } as const;

/** `--check` only checks what the user has given, before the parts are installed. */
export function parseOptions(args: readonly string[], root: string): ReleaseOptions & { readonly check: boolean } {
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      version: text,
      out: text,
      registry: text,
      builder: text,
      'sign-key': text,
      platform: list,
      deps: list,
      base: list,
      node: list,
      'allow-dirty': flag,
      check: flag,
    },
  });
  const version = parseVersion(values.version);
  const chosen = values.platform.map(parsePlatform);
  return {
    version,
    out: parseOut(values.out),
    registry: parseRegistry(values.registry),
    builder: values.builder === '' ? 'tag:orcacache.dev,2026:builder/local' : values.builder,
    key: values['sign-key'] === '' ? undefined : readSigningKey(values['sign-key']),
    architectures: chosen.length === 0 ? ARCHITECTURES : ARCHITECTURES.filter((name) => chosen.includes(name)),
    deps: pairs(values.deps),
    bases: pairs(values.base),
    nodes: pairs(values.node),
    source: sourceOf(gitState(root), values['allow-dirty'], process.env['SOURCE_DATE_EPOCH']),
    check: values.check,
  };
}

function pairs(values: readonly string[]): Map<string, string> {
  return new Map(
    values.map((value) => {
      const at = value.indexOf('=');
      if (at < 1) throw new BadInput(`${value} is not NAME=PATH`);
      return [value.slice(0, at), value.slice(at + 1)];
    }),
  );
}
