/** The aspects by which responses are compared: the status, the headers that clients use, and the content of the body. */
import { createHash } from 'node:crypto';
import type { HttpAnswer } from '#test/support/http.ts';

/** By name: `answer` (status, document, error code), `header etag`, `body`, `Error Key`, `ListBucketResult Contents.Key[1]`, … */
export type Aspects = ReadonlyMap<string, string>;

const HEADERS = [
  'accept-ranges',
  'allow',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-range',
  'content-type',
  'etag',
  'expires',
  'last-modified',
  'x-amz-bucket-region',
  'x-amz-delete-marker',
  'x-amz-mp-parts-count',
  'x-amz-restore',
  'x-amz-storage-class',
  'x-amz-tagging-count',
  'x-amz-version-id',
  'access-control-allow-origin',
];
const HEADER_PREFIXES = ['x-amz-meta-', 'x-amz-checksum-'];
/** Texts with the same meaning, or that no program uses. */
const NOT_COMPARED_ERROR_ELEMENTS = new Set([
  'Message',
  'RequestId',
  'HostId',
  'Resource',
  'ServerTime',
  'RequestTime',
  // It names the host that the request was sent to.
  'SignatureProvided',
  'StringToSign',
  'StringToSignBytes',
  'CanonicalRequest',
  'CanonicalRequestBytes',
]);
/** Under `encoding-type=url`. */
const ENCODED = new Set(['Delimiter', 'Key', 'Marker', 'NextMarker', 'Prefix', 'StartAfter']);
/** Values that each server chooses: only their presence is compared. */
const OPAQUE = /Token$|^(?:ID|DisplayName|CreationDate)$/;

export function aspectsOf(answer: HttpAnswer, method: string): Aspects {
  const aspects = new Map<string, string>();
  if (!answer.complete) aspects.set('complete', 'no');
  for (const [name, value] of Object.entries(answer.headers))
    if (HEADERS.includes(name) || HEADER_PREFIXES.some((prefix) => name.startsWith(prefix)))
      aspects.set(`header ${name}`, String(value));
  const text = answer.body.toString('utf8');
  const isXml = /^\s*<(?:\?xml|[A-Z])/.test(text);
  const words = [String(answer.status)];
  if (isXml) {
    const document = documentAspects(text);
    words.push(document.get('document') ?? '', document.get('Error Code') ?? '');
    for (const [name, value] of document) if (name !== 'document' && name !== 'Error Code') aspects.set(name, value);
  } else {
    aspects.set('body', `${answer.body.length} bytes ${createHash('sha256').update(answer.body).digest('hex')}`);
    // A document's length is its own; that of a HEAD's is what GET would say.
    const length = answer.headers['content-length'];
    if (answer.status < 300 && length !== undefined) aspects.set('header content-length', length);
    if (method === 'HEAD' && answer.status >= 300) aspects.delete('header content-type');
  }
  return aspects.set('answer', words.filter((word) => word !== '').join(' '));
}

/** The differences; for responses of different kinds, only the kinds. An aspect that is missing on one side is `none`. */
export function differing(first: Aspects, second: Aspects): { what: string; from: string; to: string }[] {
  const pairs = [...new Set([...first.keys(), ...second.keys()])]
    .map((what) => ({ what, from: first.get(what) ?? 'none', to: second.get(what) ?? 'none' }))
    .filter((pair) => pair.from !== pair.to);
  const answer = pairs.filter(({ what }) => what === 'answer');
  return answer.length > 0 ? answer : pairs;
}

function documentAspects(xml: string): Map<string, string> {
  const aspects = new Map<string, string>();
  const leaves = leavesOf(xml);
  const [root = ''] = leaves[0]?.path ?? [];
  aspects.set('document', root);
  const isEncoded = leaves.some(({ path, value }) => path.at(-1) === 'EncodingType' && value === 'url');
  const counts = new Map<string, number>();
  for (const { path, value } of leaves) {
    const name = path.slice(1).join('.');
    const last = path.at(-1) ?? '';
    // An empty element means the same as a missing one.
    if (value === '' || (root === 'Error' && NOT_COMPARED_ERROR_ELEMENTS.has(last))) continue;
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    const told = isEncoded && ENCODED.has(last) ? decodeURIComponent(value) : inSeconds(value);
    aspects.set(`${root} ${name}${count === 0 ? '' : `[${count}]`}`, OPAQUE.test(last) ? 'some' : told);
  }
  return aspects;
}

/** AWS truncates times in lists to seconds. */
function inSeconds(value: string): string {
  return value.replace(/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$/, '$1Z');
}

interface Leaf {
  readonly path: readonly string[];
  readonly value: string;
}

/** Elements without child elements, in order. */
export function leavesOf(xml: string): Leaf[] {
  const leaves: Leaf[] = [];
  const path: string[] = [];
  let text = '';
  let isLeaf = false;
  for (const [token, closing, name = '', empty] of xml.matchAll(/<(\/)?([A-Za-z]\w*)[^>]*?(\/)?>|<[?!][^>]*>|[^<]+/g)) {
    if (!token.startsWith('<')) text = token;
    else if (closing === undefined && name !== '') {
      path.push(name);
      text = '';
      isLeaf = true;
    }
    if (name !== '' && (closing !== undefined || empty !== undefined)) {
      if (isLeaf) leaves.push({ path: [...path], value: unescape(text) });
      path.pop();
      text = '';
      isLeaf = false;
    }
  }
  return leaves;
}

/** Servers escape different characters. */
function unescape(text: string): string {
  const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replaceAll(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (all, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return named[name ?? ''] ?? all;
  });
}
