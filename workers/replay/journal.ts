/**
 * What a replay remembers, so that it goes on where it was killed: a file of JSON lines that is only
 * appended to. The first line is what was asked and the plan, the others are positions. A last line
 * that is torn is as if it were not there.
 */
import { appendFile, open, readFile, truncate } from 'node:fs/promises';
import { z } from 'zod';
import { SettingError, TidemarkError } from '../../schemas/errors.ts';
import { jsonOrUndefined } from '../../schemas/json.ts';
import type { ReplayFile, ReplayQuery } from './plan.ts';

/** All items before it have been taken by the receiver. */
export interface Position {
  /** Index in the plan. */
  readonly file: number;
  readonly rowGroup: number;
  /** Rows of the row group, in the order in which they are sent. */
  readonly rows: number;
  /** Sums since the beginning. */
  readonly items: number;
  readonly requests: number;
  readonly rejected: number;
  readonly duplicates: number;
}

export const start: Position = {
  file: 0,
  rowGroup: 0,
  rows: 0,
  items: 0,
  requests: 0,
  rejected: 0,
  duplicates: 0,
};

/** What was asked: a journal goes on with nothing else. */
export interface Asked extends ReplayQuery {
  readonly endpoint: string;
  readonly dedup: boolean;
}

const count = z.int().nonnegative();
const signal = z.enum(['traces', 'logs', 'metrics']);

const head = z.strictObject({
  version: z.literal(1),
  asked: z.strictObject({
    signals: z.array(signal),
    fromMs: z.number(),
    toMs: z.number(),
    tenantId: z.string().optional(),
    service: z.string().optional(),
    endpoint: z.string(),
    dedup: z.boolean(),
  }),
  files: z.array(
    z.strictObject({
      signal,
      key: z.string(),
      bytes: count,
      hourMs: z.int(),
      rowGroups: z.array(z.int().positive()),
    }),
  ),
});

const position = z.strictObject({
  file: count,
  rowGroup: count,
  rows: count,
  items: count,
  requests: count,
  rejected: count,
  duplicates: count,
});

export interface Journal {
  readonly files: readonly ReplayFile[];
  readonly position: Position;
  /** Remembers a position, in the file before it returns. */
  write(position: Position): Promise<void>;
}

/** Keeps nothing: a replay that is killed begins anew. */
export function noJournal(files: readonly ReplayFile[]): Journal {
  return { files, position: start, write: () => Promise.resolve() };
}

/** Begins a journal in a new file. Throws `TidemarkError` SINK_FAILED when it cannot be written. */
export async function beginJournal(
  path: string,
  asked: Asked,
  files: readonly ReplayFile[],
): Promise<Journal> {
  await attempt('write', path, async () => {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(`${JSON.stringify({ version: 1, asked, files })}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  });
  return journalOf(path, files, start);
}

/**
 * The journal of an earlier replay that asked the same, or `undefined` when there is no such file.
 * Throws `SettingError` for a file that is none, or of a replay that asked for something else.
 */
export async function resumeJournal(path: string, asked: Asked): Promise<Journal | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const [first = '', ...rest] = whole.split('\n').slice(0, -1);
  const parsed = head.safeParse(jsonOrUndefined(first));
  if (!parsed.success) throw new SettingError('--state', `"${path}" is no state of a replay`);
  if (JSON.stringify(plain(parsed.data.asked)) !== JSON.stringify(plain(asked))) {
    const other = JSON.stringify(parsed.data.asked);
    const message = `"${path}" is the state of another replay: it asked for ${other}`;
    throw new SettingError('--state', message);
  }
  // What was written half is written anew in its place.
  if (whole.length < text.length) {
    await attempt('write', path, () => truncate(path, Buffer.byteLength(whole)));
  }
  const last = position.safeParse(jsonOrUndefined(rest.at(-1) ?? ''));
  return journalOf(path, parsed.data.files, last.success ? last.data : start);
}

function journalOf(path: string, files: readonly ReplayFile[], at: Position): Journal {
  const write = (next: Position): Promise<void> =>
    attempt('write', path, () => appendFile(path, `${JSON.stringify(next)}\n`));
  return { files, position: at, write };
}

/** In one order of members, without those that are undefined. */
function plain(asked: z.infer<typeof head>['asked'] | Asked): unknown[] {
  const { signals, fromMs, toMs, tenantId, service, endpoint, dedup } = asked;
  return [signals, fromMs, toMs, tenantId ?? null, service ?? null, endpoint, dedup];
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw fileFault('read', path, error);
  }
}

async function attempt(action: string, path: string, task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    throw fileFault(action, path, error);
  }
}

function fileFault(action: string, path: string, cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError('SINK_FAILED', `Cannot ${action} the state "${path}": ${reason}`, {
    cause,
  });
}
