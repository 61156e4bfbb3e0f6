/**
 * What a command gets from its surroundings: streams, environment, clock, log and the signal to
 * stop. Commands take nothing from `process` themselves, and nothing here knows a command.
 */
import pino from 'pino';
import type { Logger } from 'pino';
import { TidemarkError } from '../schemas/errors.ts';
import { readSettings } from '../schemas/settings.ts';
import type { Settings } from '../schemas/settings.ts';

/** A stream for text: `process.stdout`, or a collector in a test. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface Context {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Results. */
  readonly stdout: TextSink;
  /** Log lines and progress. */
  readonly stderr: TextSink;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Aborts at SIGINT, SIGTERM, and when the program that started this one is gone. */
  readonly signal: AbortSignal;
}

/** Settings of the environment, with those flags that were given in place of variables. */
export function settingsOf(
  context: Context,
  flags: Readonly<Record<string, string | undefined>> = {},
): Settings {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return readSettings({ ...context.environment, ...Object.fromEntries(given) });
}

/** A log that writes JSON lines to stderr, at the level that the settings name. */
export function logOf(context: Context, settings: Settings): Logger {
  return pino(
    {
      level: settings.TIDEMARK_LOG_LEVEL,
      base: { pid: process.pid },
      serializers: { err: (error: unknown) => faultOf(error, settings) },
    },
    { write: (line: string) => void context.stderr.write(line) },
  );
}

/** What a log line says of an error: where it was thrown only helps with bugs, and who asks for it. */
function faultOf(error: unknown, { TIDEMARK_LOG_LEVEL: level }: Settings): unknown {
  const isWorlds = error instanceof TidemarkError && !['debug', 'trace'].includes(level);
  if (isWorlds) return { code: error.code, message: error.message };
  return error instanceof Error ? pino.stdSerializers.err(error) : error;
}
