import { describe, expect, test } from 'vitest';
import {
  parseTraceparent,
  traced,
  tracedGenerator,
  traceFields,
  traceHeaders,
  withRequestTrace,
  type Tracer,
} from '#shared/trace.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;

describe('a traceparent', () => {
  test.each([
    [PARENT, PARENT],
    [PARENT.replace(/01$/, '00'), PARENT.replace(/01$/, '00')],
    // A later version, with and without fields that this one does not know.
    [PARENT.replace(/^00/, '01'), PARENT],
    [`${PARENT.replace(/^00/, 'cc')}-what-the-future-brings`, PARENT],
  ])('%s is passed on as %s', (header, sent) => {
    expect(parseTraceparent(header)).toBe(sent);
  });

  test.each([
    ['', 'empty'],
    ['00', 'cut'],
    [`${PARENT}-more`, 'longer than version 00'],
    [`${PARENT}x`, 'with a character too many'],
    [PARENT.toUpperCase(), 'in upper case'],
    [PARENT.replace(/^00/, 'ff'), 'that has the forbidden version'],
    [PARENT.replace(TRACE_ID, '0'.repeat(32)), 'without a trace ID'],
    [PARENT.replace('00f067aa0ba902b7', '0'.repeat(16)), 'without a parent ID'],
    [PARENT.replaceAll('-', '_'), 'with other separators'],
    [` ${PARENT}`, 'with a space'],
    [`${PARENT}\r\nx: y`, 'with a line break'],
    [`01${PARENT.slice(2)}-${'x'.repeat(5000)}`, 'that is too long'],
  ])('%j is ignored: %s', (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });

  test('that is repeated is ignored', () => {
    expect(parseTraceparent([PARENT, PARENT])).toBeUndefined();
  });
});

/** Records names and parents; `isSampled` is the decision for all. */
function fakeTracer(isSampled = true) {
  const started: [string, string | undefined][] = [];
  const ended: [string, unknown][] = [];
  const tracer: Tracer = {
    isSampled: () => isSampled,
    start(name, _kind, parent) {
      started.push([name, parent?.split('-')[2]]);
      const id = String(started.length).padStart(16, '0');
      return {
        traceparent: `00-${TRACE_ID}-${id}-01`,
        set: () => {},
        end: (error) => void ended.push([name, error]),
      };
    },
  };
  return { tracer, started, ended };
}

test('without a tracer, what a request starts has its traceparent, also after it has ended', async () => {
  const later = Promise.withResolvers<void>();
  let background: Promise<unknown> | undefined;
  await withRequestTrace(undefined, PARENT, 'edge', async () => {
    background = later.promise.then(() => traceHeaders());
    await Promise.resolve();
    expect(traceFields()).toEqual({ traceId: TRACE_ID });
  });
  expect(traceHeaders()).toBeUndefined();
  later.resolve();
  expect(await background).toEqual({ traceparent: PARENT });
});

test('an invalid traceparent enters no scope', async () => {
  await withRequestTrace(undefined, 'x', 'edge', async () => {
    await Promise.resolve();
    expect(traceHeaders()).toBeUndefined();
  });
});

test('spans are nested as calls are; a failed one has its error', async () => {
  const { tracer, started, ended } = fakeTracer();
  const failure = new Error('no');
  await withRequestTrace(tracer, PARENT, 'edge', async () => {
    async function* pieces() {
      yield await traced('store', {}, () => Promise.resolve(1));
      yield await traced('origin', {}, () => Promise.reject(failure));
    }
    await (async () => {
      for await (const _ of tracedGenerator('chunk', () => ({}), pieces()));
    })().catch(() => {});
  });
  expect(started).toEqual([
    ['edge', '00f067aa0ba902b7'],
    ['chunk', '0000000000000001'],
    ['store', '0000000000000002'],
    ['origin', '0000000000000002'],
  ]);
  expect(ended).toEqual([
    ['store', undefined],
    ['origin', failure],
    ['chunk', failure],
    ['edge', undefined],
  ]);
});

test('a generator that is left early ends its span and its source', async () => {
  const { tracer, ended } = fakeTracer();
  let isClosed = false;
  await withRequestTrace(tracer, undefined, 'edge', async () => {
    async function* pieces() {
      try {
        yield 1;
        yield 2;
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of tracedGenerator('chunk', () => ({}), pieces())) break;
  });
  expect([isClosed, ended.map(([name]) => name)]).toEqual([true, ['chunk', 'edge']]);
});

test('a trace that is not sampled has no span, and its context is passed on as it is', async () => {
  const { tracer, started } = fakeTracer(false);
  await withRequestTrace(tracer, PARENT, 'edge', async () => {
    await traced('store', {}, () => Promise.resolve());
    expect(traceHeaders()).toEqual({ traceparent: PARENT });
  });
  expect(started).toEqual([]);
});
