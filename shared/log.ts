/**
 * JSON logging. The code logs through the small `Log` interface; this file alone knows pino, the redaction of secrets
 * and the log level.
 */
import { pino } from 'pino';
import { readableLine } from './readable-line.ts';
import { traceFields } from './trace.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'auto' | 'json' | 'pretty';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether lines of this level are written: for fields that cost something to collect. */
  isEnabled(level: LogLevel): boolean;
  /** A log that adds `fields` to each line. It follows level changes of its parent. */
  child(fields: LogFields): Log;
}

/** The log of a process. Its level can change at run time. */
export interface RootLog extends Log {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
  /** Writes a line as it is, whatever the level, without redaction. */
  line(text: string): void;
}

export interface LogOptions {
  /** The program's name, a field of each line. */
  readonly name: string;
  readonly level: LogLevel;
  /** Fields of each line. */
  readonly fields?: LogFields;
  /** The output; stdout by default. */
  readonly write?: (line: string) => void;
  /** Default: JSON. `auto` is readable if the output is a terminal. */
  readonly format?: LogFormat;
}

/** Fields whose value is never logged, regardless of case, `-` and `_` in their name. */
const SECRET_KEYS = new Set([
  'accountkey',
  'authorization',
  'bearertoken',
  'clientsecret',
  'cookie',
  'credentials',
  'mac',
  'password',
  'privatekey',
  'signingkey',
  'previouskey',
  'sastoken',
  'secret',
  'secretaccesskey',
  'sessiontoken',
  'setcookie',
  'token',
  'xamzsecuritytoken',
  'xorcamac',
]);
/** Query parameters that sign a URL (SigV4, SAS). Only their value is redacted; the URL stays readable. */
const SIGNED_QUERY = /([?&](?:X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|sig|signature)=)[^&\s"']*/gi;
/** Deeper than any intended field. Also ends circular references. */
const MAX_DEPTH = 6;
const MAX_ITEMS = 100;
/** Longer than any key. */
const MAX_TEXT_LENGTH = 4096;

const LEVEL_ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function openLog(options: LogOptions): RootLog {
  const destination = destinationOf(options);
  const sink = pino(
    {
      name: options.name,
      // `at` filters by level, because pino's children keep the level of their creation.
      level: 'debug',
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  let current = options.level;

  const isEnabled = (level: LogLevel): boolean => LEVEL_ORDER[level] >= LEVEL_ORDER[current];

  function withFields(own: LogFields): Log {
    const at =
      (level: LogLevel) =>
      (message: string, fields?: LogFields): void => {
        if (!isEnabled(level)) return;
        sink[level](
          { ...own, ...traceFields(), ...redactFields(fields ?? {}, 0) },
          message.replace(SIGNED_QUERY, '$1[redacted]'),
        );
      };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      isEnabled,
      child: (fields) => withFields({ ...own, ...redactFields(fields, 0) }),
    };
  }

  return {
    ...withFields(options.fields ?? {}),
    level: () => current,
    setLevel: (level) => {
      current = level;
    },
    line: (text) => {
      destination.write(`${text}\n`);
    },
  };
}

function destinationOf({ write, format = 'json' }: LogOptions): { write(text: string): unknown } {
  const output = write === undefined ? pino.destination({ dest: 1, sync: true }) : { write };
  const isTerminal = write === undefined && process.stdout.isTTY;
  if (format === 'json' || (format === 'auto' && !isTerminal)) return output;
  const hasColors = isTerminal && process.env['NO_COLOR'] === undefined;
  return {
    // Each text is one line with its end.
    write: (text) => output.write(`${readableLine(text.trimEnd(), hasColors)}\n`),
  };
}

/** Clients choose some texts, such as keys. */
function cut(text: string): string {
  return text.length <= MAX_TEXT_LENGTH ? text : `${text.slice(0, MAX_TEXT_LENGTH)}...`;
}

/** A copy without secrets. Errors become plain objects with their code and causes. */
function redact(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cut(value.replace(SIGNED_QUERY, '$1[redacted]'));
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => redact(item, depth + 1));
  return redactFields(value, depth);
}

function redactFields(fields: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(fields).slice(0, MAX_ITEMS))
    copy[key] = SECRET_KEYS.has(key.toLowerCase().replaceAll(/[-_]/g, '')) ? '[redacted]' : redact(item, depth + 1);
  return copy;
}

function redactError(error: Error, depth: number): unknown {
  const { code, status, reason } = error as Error & { code?: unknown; status?: unknown; reason?: unknown };
  return {
    type: error.name,
    message: error.message.replace(SIGNED_QUERY, '$1[redacted]'),
    ...(code === undefined ? {} : { code }),
    ...(status === undefined ? {} : { status }),
    ...(reason === undefined ? {} : { reason: redact(reason, depth + 1) }),
    stack: error.stack?.replace(SIGNED_QUERY, '$1[redacted]'),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}

/** A log that discards all lines. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  isEnabled: () => false,
  child: () => silentLog,
};
