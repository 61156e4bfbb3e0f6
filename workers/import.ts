/**
 * Puts requests from files into the archive spool under names that their content gives them, where
 * the archiver takes them exactly once as it takes what the edge spools. Knows by the spool and the
 * commit log what an import that was cut short, or an earlier one of the same file when it was
 * shorter, has put there. Decodes nothing.
 *
 * A name is written only if it is not there. What the spool has lost since is in a commit: so it is
 * enough to list the spool first, then to read the commits since the file was first begun.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import {
  archiveSpoolPrefix,
  parseSpoolKey,
  pieceId,
  spoolName,
  topics,
} from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { commitPrefix } from '../schemas/commit.ts';
import { ConflictError } from '../schemas/errors.ts';
import { importClockSlackMs } from '../schemas/limits/replay.ts';
import { readCommit } from './clients/commits/archive.ts';
import type { CallOptions, ObjectStore } from './clients/store/objects.ts';

/** One request of a file, which is at most as large as a spool object may be. */
export interface ImportRequest {
  readonly signal: Signal;
  readonly request: Uint8Array;
  /** When it counts as received, ms since 1970. */
  readonly receivedMs: number;
  /** Index among the pieces of the request as it was in the file; `undefined` for a whole one. */
  readonly piece?: number | undefined;
}

export interface ImportFile {
  /** SHA-256 of the file, lower-case hex. */
  readonly hash: string;
  /** SHA-256 of its first record: a file that has grown since has the same one. */
  readonly beginning: string;
  readonly tenantId: string;
}

const begun = z.strictObject({ version: z.literal(1), begunAt: z.iso.datetime() });

const idPrefix = 'import-';
const signals = Object.keys(topics) as Signal[];

/** An import of one file that is under way. */
export interface Import {
  /** True when exactly this file was imported whole before. */
  readonly isDone: boolean;
  /** Spools a request. False when it is in the spool or was archived. Throws OBJECT_STORE. */
  put(request: ImportRequest): Promise<boolean>;
  /** Remembers that the whole file was imported. */
  finish(): Promise<void>;
}

/** Begins an import, or goes on with one. Throws OBJECT_STORE and CORRUPT_ARCHIVE. */
export async function openImport(
  store: ObjectStore,
  file: ImportFile,
  now: () => number,
  options: CallOptions = {},
): Promise<Import> {
  const folder = `_imports/${file.tenantId}/${file.beginning}/`;
  const doneKey = `${folder}done+${file.hash}.json`;
  const isDone = (await store.head(doneKey, options)) !== undefined;
  const known = isDone
    ? new Set<string>()
    : await begin(store, `${folder}begun.json`, now, options);
  return {
    isDone,
    put: (request) => put(store, keyOf(file.tenantId, request), request, known, options),
    finish: async () => {
      const text = JSON.stringify({ version: 1, doneAt: new Date(now()).toISOString() });
      await store.put(doneKey, text, options);
    },
  };
}

/** The keys that an earlier import has spooled; none when this one is the first. */
async function begin(
  store: ObjectStore,
  key: string,
  now: () => number,
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const text = JSON.stringify({ version: 1, begunAt: new Date(now()).toISOString() });
  try {
    await store.put(key, text, { ...options, ifNoneMatch: '*' });
    return new Set();
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
  const bytes = await store.get(key, options);
  const parsed = begun.parse(JSON.parse(new TextDecoder().decode(bytes)));
  const sinceMs = Date.parse(parsed.begunAt) - importClockSlackMs;
  const known = new Set<string>();
  for (const signal of signals) {
    await addSpooled(store, signal, known, options);
    await addCommitted(store, signal, sinceMs, known, options);
  }
  return known;
}

async function addSpooled(
  store: ObjectStore,
  signal: Signal,
  known: Set<string>,
  options: CallOptions,
): Promise<void> {
  for await (const page of store.list(archiveSpoolPrefix(topics[signal]), options)) {
    for (const { key } of page) if (isImported(key)) known.add(key);
  }
}

/** Newest first, as commits' keys sort. */
async function addCommitted(
  store: ObjectStore,
  signal: Signal,
  sinceMs: number,
  known: Set<string>,
  options: CallOptions,
): Promise<void> {
  for await (const page of store.list(commitPrefix(topics[signal], 'spool'), options)) {
    for (const { key } of page) {
      const commit = await readCommit(store, key, options);
      for (const spooled of commit?.spoolKeys ?? []) if (isImported(spooled)) known.add(spooled);
      if (commit && Date.parse(commit.committedAt) < sinceMs) return;
    }
  }
}

function isImported(key: string): boolean {
  return parseSpoolKey(key)?.requestId.startsWith(idPrefix) === true;
}

async function put(
  store: ObjectStore,
  key: string,
  { request }: ImportRequest,
  known: ReadonlySet<string>,
  options: CallOptions,
): Promise<boolean> {
  if (known.has(key)) return false;
  try {
    await store.put(key, request, { ...options, ifNoneMatch: '*' });
    return true;
  } catch (error) {
    if (error instanceof ConflictError) return false;
    throw error;
  }
}

/** Of equal content, one key: requests that are equal to the byte are one. */
function keyOf(tenantId: string, { signal, request, receivedMs, piece }: ImportRequest): string {
  const id = `${idPrefix}${createHash('sha256').update(request).digest('hex').slice(0, 40)}`;
  const requestId = piece === undefined ? id : pieceId(id, piece);
  return `${archiveSpoolPrefix(topics[signal])}${spoolName({ receivedMs, requestId, tenantId })}`;
}
