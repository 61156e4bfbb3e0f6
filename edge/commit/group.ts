/**
 * Group commit: merges the batches of many requests into one before the legs see it, and answers
 * each request when its group is durable. Lives in a Durable Object, because promises of one
 * request cannot be awaited by another elsewhere. It never splits a batch and never retries.
 */
import type { TableRows } from '../../aggregator-as/host.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { groupsInFlightMax } from '../../schemas/limits.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ArchivePart } from '../archive.ts';
import type { Batch, FreshBatch, Stored } from '../fanout.ts';
import { viewOf } from '../lend.ts';
import { concatenate } from '../concatenate.ts';

export type GroupSettings = Pick<
  Settings,
  | 'TIDEMARK_GROUP_MS'
  | 'TIDEMARK_GROUP_ITEMS_MAX'
  | 'TIDEMARK_GROUP_BYTES_MAX'
  | 'TIDEMARK_IN_FLIGHT_BYTES_MAX'
>;

export interface GroupTools {
  /** Gives a batch to both legs; rejects when the edge's promise does not hold for it. */
  readonly commit: (batch: Batch) => Promise<Stored>;
  /** Calls `then` after so many milliseconds. */
  readonly later: (ms: number, then: () => void) => void;
}

interface Waiting {
  readonly batch: Batch;
  readonly resolve: (grouped: Grouped) => void;
  readonly reject: (reason: unknown) => void;
}

/** What became of a batch. */
export interface Grouped extends Stored {
  /** Requests of the group, in its first request's answer; 0 in the others'. */
  readonly requests: number;
  /** When the first request of its record was received, ms since 1970. */
  readonly recordedMs: number;
  /** Whether another one, equal to the byte, was stored in its place. */
  readonly isCopy: boolean;
}

/**
 * The groups of one signal. With no group under way a batch goes at once: group commit costs a
 * lone sender nothing. Otherwise it waits until the group is `TIDEMARK_GROUP_MS` old or full.
 */
export class Grouping {
  readonly #settings: GroupSettings;
  readonly #tools: GroupTools;
  #waiting: Waiting[] = [];
  #items = 0;
  #bytes = 0;
  /** Counts groups, so that a timer knows whether its group has gone already. */
  #edition = 0;
  #underWay = 0;
  /** OTLP bytes and rows of all batches that were not answered yet. */
  #heldBytes = 0;

  constructor(settings: GroupSettings, tools: GroupTools) {
    this.#settings = settings;
    this.#tools = tools;
  }

  /**
   * Resolves when the batch is durable in both legs. Throws what the legs throw, and OVERLOADED,
   * retryable, when too many bytes wait already.
   */
  add(batch: Batch): Promise<Grouped> {
    const bytes = otlpBytes(batch);
    const held = bytes + rowBytes(batch);
    const { TIDEMARK_IN_FLIGHT_BYTES_MAX: bytesMax } = this.#settings;
    if (this.#heldBytes > 0 && this.#heldBytes + held > bytesMax) {
      return Promise.reject(overloaded(bytesMax));
    }
    this.#heldBytes += held;
    if (!this.#fits(batch, bytes)) this.#flush();
    const answer = new Promise<Grouped>((resolve, reject) => {
      this.#waiting.push({ batch, resolve, reject });
    });
    this.#items += itemCount(batch);
    this.#bytes += bytes;
    this.#schedule();
    return answer.finally(() => {
      this.#heldBytes -= held;
    });
  }

  #fits(batch: Batch, bytes: number): boolean {
    if (this.#waiting.length === 0) return true;
    const { TIDEMARK_GROUP_ITEMS_MAX: itemsMax, TIDEMARK_GROUP_BYTES_MAX: bytesMax } =
      this.#settings;
    return this.#items + itemCount(batch) <= itemsMax && this.#bytes + bytes <= bytesMax;
  }

  /** Sends the group now, or later when a group is under way. */
  #schedule(): void {
    if (this.#underWay === 0) this.#flush();
    else if (this.#waiting.length === 1) {
      const edition = this.#edition;
      this.#tools.later(this.#settings.TIDEMARK_GROUP_MS, () => {
        if (edition === this.#edition && this.#underWay < groupsInFlightMax) this.#flush();
      });
    }
  }

  #flush(): void {
    const group = this.#waiting;
    if (group.length === 0) return;
    this.#waiting = [];
    this.#items = 0;
    this.#bytes = 0;
    this.#edition += 1;
    this.#underWay += 1;
    // `#store` never rejects: it is the requests of the group that do.
    void this.#store(group);
  }

  async #store(group: readonly Waiting[]): Promise<void> {
    try {
      const kept = keptOf(group.map(({ batch }) => batch));
      const merged = mergeKept(kept);
      const stored = await this.#tools.commit(merged);
      for (const [index, { batch, resolve }] of group.entries()) {
        const requests = index === 0 ? group.length : 0;
        const isCopy = !kept.includes(batch);
        resolve({ ...stored, requests, recordedMs: recordedMsOf(batch, merged), isCopy });
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
    this.#underWay -= 1;
    // What came meanwhile has waited for as long as a group takes: it goes now.
    this.#flush();
  }
}

/**
 * One batch with the parts of all tenants and the rows of all tables. Requests of a tenant are
 * laid one after the other, which protobuf reads as one request. Of log requests that are equal to
 * the byte only the first stays: a record's identity counts repetitions within its request, so a
 * request that was delivered twice must not become one with every line twice.
 */
export function merge(batches: readonly Batch[]): Batch {
  return mergeKept(keptOf(batches));
}

/** The batches of a group that are stored. */
function keptOf(batches: readonly Batch[]): readonly Batch[] {
  const isLogs = batches.length > 1 && batches[0]?.signal === 'logs';
  return isLogs ? withoutCopies(batches) : batches;
}

function mergeKept(kept: readonly Batch[]): Batch {
  const [first] = kept;
  if (first === undefined) throw new Error('Bug: a group has no batch');
  if (kept.length === 1) return first;
  return {
    signal: first.signal,
    parts: mergeParts(kept.flatMap(({ parts }) => parts)),
    tables: mergeTables(kept.flatMap(({ tables }) => tables)),
  };
}

/** A record carries the time of the first request of its tenant. */
function recordedMsOf({ parts: [own] }: Batch, merged: Batch): number {
  const part = merged.parts.find(({ parts }) => parts.tenantId === own?.parts.tenantId);
  return part?.parts.receivedMs ?? own?.parts.receivedMs ?? 0;
}

function mergeParts(parts: readonly ArchivePart[]): ArchivePart[] {
  const byTenant = Map.groupBy(parts, (part) => part.parts.tenantId);
  return [...byTenant.values()].flatMap((ofTenant) => {
    const [first] = ofTenant;
    if (first === undefined) return [];
    const otlp = concatenate(ofTenant.map((part) => part.otlp));
    const digest = ofTenant.map((part) => part.digest).join('+');
    return [{ parts: first.parts, otlp, digest }];
  });
}

function mergeTables(tables: readonly TableRows[]): TableRows[] {
  const byTable = Map.groupBy(tables, ({ table }) => table);
  return [...byTable].map(([table, pieces]) => ({
    table,
    rows: concatenate(pieces.map(({ rows }) => rows)),
    rowCount: pieces.reduce((sum, { rowCount }) => sum + rowCount, 0),
  }));
}

function withoutCopies(batches: readonly Batch[]): Batch[] {
  const byHash = new Map<number, Batch[]>();
  return batches.filter((batch) => {
    const hash = batch.parts.reduce((value, { otlp }) => hashOf(otlp, value), 0x811c9dc5);
    const alike = byHash.get(hash) ?? [];
    if (alike.some((other) => isCopied(batch, other))) return false;
    byHash.set(hash, [...alike, batch]);
    return true;
  });
}

function isCopied(batch: Batch, other: Batch): boolean {
  const isSame = batch.parts.every((part, index) => isCopyOf(part, other.parts[index]));
  return isSame && batch.parts.length === other.parts.length;
}

function isCopyOf(part: ArchivePart, other: ArchivePart | undefined): boolean {
  return other?.parts.tenantId === part.parts.tenantId && equal(other.otlp, part.otlp);
}

/** FNV-1a, 32 bits, over at most the last 256 bytes, where requests differ most. */
function hashOf(bytes: Uint8Array, seed: number): number {
  let value = seed ^ bytes.length;
  for (const byte of bytes.subarray(-256)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function itemCount({ tables }: Batch): number {
  return tables.reduce((sum, { rowCount }) => sum + rowCount, 0);
}

/** OTLP bytes of all parts: what the size of a group is counted in. */
export function otlpBytes({ parts }: Pick<FreshBatch, 'parts'>): number {
  return parts.reduce((sum, { otlp }) => sum + viewOf(otlp).length, 0);
}

function rowBytes({ tables }: Batch): number {
  return tables.reduce((sum, { rows }) => sum + rows.length, 0);
}

function overloaded(bytesMax: number): TidemarkError {
  return new TidemarkError(
    'OVERLOADED',
    `Cannot take the request now: others of its group hold most of ${bytesMax} bytes`,
    { retryable: true },
  );
}
