/**
 * JSON logs. Everyone logs through the small `Log` interface; pino, the redaction of secrets and the level are known
 * here only.
 */
import { pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry `fields`; it follows the level of its parent. */
  child(fields: LogFields): Log;
}

/** The log of a process: its level can be set while it runs. */
export interface RootLog extends Log {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
}

export interface LogOptions {
  /** Which program speaks: a field of every line. */
  readonly name: string;
  readonly level: LogLevel;
  /** Where the lines go; stdout unless a test wants them. */
  readonly write?: (line: string) => void;
}

/** Fields whose value is never written, whatever their case and their `-` and `_`. */
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
/** Query parameters that sign a URL (SigV4, SAS): their value goes, the rest of the URL stays readable. */
const SIGNED_QUERY = /([?&](?:X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|sig|signature)=)[^&\s"']*/gi;
/** Deeper than any field we log on purpose; what lies below is not worth a line. */
const MAX_DEPTH = 6;
const MAX_ITEMS = 100;

const LEVEL_ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function openLog(options: LogOptions): RootLog {
  const write = options.write;
  const sink = pino(
    {
      name: options.name,
      // Levels are ours, so that children follow a change at run time (pino's children keep the level they were made with).
      level: 'debug',
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    write === undefined ? pino.destination({ dest: 1, sync: true }) : { write },
  );
  let current = options.level;

  function withFields(own: LogFields): Log {
    const at =
      (level: LogLevel) =>
      (message: string, fields?: LogFields): void => {
        if (LEVEL_ORDER[level] < LEVEL_ORDER[current]) return;
        sink[level]({ ...own, ...redactFields(fields ?? {}, 0) }, message.replace(SIGNED_QUERY, '$1[redacted]'));
      };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => withFields({ ...own, ...redactFields(fields, 0) }),
    };
  }

  return {
    ...withFields({}),
    level: () => current,
    setLevel: (level) => {
      current = level;
    },
  };
}

/** A copy without secrets; errors become plain objects with their code and their causes. */
function redact(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.replace(SIGNED_QUERY, '$1[redacted]');
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

/** A log that says nothing, for what must be given one and has nobody to tell. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};
