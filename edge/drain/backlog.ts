/**
 * Lists what waits in the spools of R2 and says how much it is. It reads no object, and reads more
 * than one page of a spool only when there is more.
 */
import {
  archiveSpoolPrefix,
  archiveSpoolsPrefix,
  parseSpoolKey,
  speedSpoolPrefix,
  speedSpoolsPrefix,
  topics,
} from '../../schemas/archive.ts';
import { listPageKeys, spoolPagesMeasuredMax } from '../../schemas/limits.ts';
import { spooledTables } from '../../schemas/tables.ts';
import type { SpooledTable } from '../../schemas/tables.ts';

/** The part of an R2 bucket that lists. */
export interface ListBucket {
  list(options: { prefix: string; limit: number; cursor?: string }): Promise<{
    readonly objects: readonly { readonly key: string; readonly size: number }[];
    readonly truncated: boolean;
    readonly cursor?: string;
  }>;
}

/** An object of a spool. Keys that are none of ours are not listed. */
export interface Waiting {
  readonly key: string;
  readonly bytes: number;
  readonly receivedMs: number;
}

/** How much waits in the spool of one leg; at least that, when the bounds of a tick were reached. */
export interface Load {
  readonly objects: number;
  readonly bytes: number;
  /** When the oldest was received, ms since 1970; 0 when there is none. */
  readonly oldestMs: number;
}

/** What waits for the tables of ClickHouse, each table's oldest first. */
export async function listSpeed(
  bucket: ListBucket,
): Promise<readonly (Waiting & { readonly table: SpooledTable })[]> {
  const all = await list(bucket, speedSpoolsPrefix, spooledTables.map(speedSpoolPrefix));
  return all.flatMap((waiting) => {
    const table = spooledTables.find((name) => waiting.key.startsWith(speedSpoolPrefix(name)));
    return table === undefined ? [] : [{ ...waiting, table }];
  });
}

/** What waits for the archiver. */
export function listArchive(bucket: ListBucket): Promise<readonly Waiting[]> {
  return list(bucket, archiveSpoolsPrefix, Object.values(topics).map(archiveSpoolPrefix));
}

export function loadOf(waiting: readonly Waiting[]): Load {
  return {
    objects: waiting.length,
    bytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0),
    oldestMs: waiting.reduce(
      (oldest, { receivedMs }) => (oldest === 0 ? receivedMs : Math.min(oldest, receivedMs)),
      0,
    ),
  };
}

/** One page has it all, mostly; else each spool has its own pages, so that none hides another. */
async function list(
  bucket: ListBucket,
  prefix: string,
  prefixes: readonly string[],
): Promise<Waiting[]> {
  const { objects, truncated } = await bucket.list({ prefix, limit: listPageKeys });
  if (!truncated) return waitingIn(objects);
  const all: Waiting[] = [];
  for (const each of prefixes) all.push(...(await listPages(bucket, each)));
  return all;
}

async function listPages(bucket: ListBucket, prefix: string): Promise<Waiting[]> {
  const all: Waiting[] = [];
  let from: { cursor?: string } = {};
  for (let page = 0; page < spoolPagesMeasuredMax; page += 1) {
    const { objects, truncated, cursor } = await bucket.list({
      prefix,
      limit: listPageKeys,
      ...from,
    });
    all.push(...waitingIn(objects));
    if (!truncated || cursor === undefined) break;
    from = { cursor };
  }
  return all;
}

function waitingIn(objects: readonly { readonly key: string; readonly size: number }[]): Waiting[] {
  return objects.flatMap(({ key, size }) => {
    const receivedMs = parseSpoolKey(key)?.receivedMs;
    return receivedMs === undefined ? [] : [{ key, bytes: size, receivedMs }];
  });
}
