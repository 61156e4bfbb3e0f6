/**
 * Moves spooled rows to ClickHouse, oldest first over all tables. A table that fails is left alone
 * for a while, and the others go on. An object is deleted only after its insert; two drains at once
 * insert it twice at worst, and then under the same deduplication token.
 */
import { parseSpoolKey, speedDeadPrefix } from '../schemas/archive.ts';
import { ClickHouseError } from '../schemas/errors.ts';
import {
  drainObjectsAtOnce,
  drainObjectsPerTickMax,
  drainTickMsMax,
  drainTriesMax,
} from '../schemas/limits.ts';
import type { SpooledTable } from '../schemas/tables.ts';
import { listArchive, listSpeed, loadOf } from './drain/backlog.ts';
import type { ListBucket, Load, Waiting } from './drain/backlog.ts';
import { insertRows } from './insert.ts';
import type { InsertSettings, InsertTools } from './insert.ts';
import { Journal } from './drain/journal.ts';
import type { JournalBucket } from './drain/journal.ts';
import type { Meter } from './meter.ts';

/** The part of an R2 bucket that the drain uses. */
export interface DrainBucket extends ListBucket, JournalBucket {
  delete(keys: string[]): Promise<void>;
}

export interface DrainTools extends InsertTools {
  readonly bucket: DrainBucket;
  readonly meter: Meter;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

/**
 * One tick. Returns how many objects were moved. Throws what R2 throws when it cannot be listed,
 * read or written.
 */
export async function drain(settings: InsertSettings, tools: DrainTools): Promise<number> {
  const journal = await Journal.read(tools.bucket);
  const waiting = await listSpeed(tools.bucket);
  const tick = new Tick(journal, settings, tools);
  try {
    await tick.run(waiting);
  } finally {
    const left = waiting.filter(({ key }) => !tick.gone.has(key));
    journal.keep(new Set(left.map(({ key }) => key)));
    journal.legs = { archive: loadOf(await listArchive(tools.bucket)), speed: loadOf(left) };
    showLoads(journal.legs, tools);
    await journal.write(tools.bucket);
  }
  return tick.moved;
}

/**
 * Sets the gauges of the spools as the last tick of any isolate left them. Throws what R2 throws.
 */
export async function showSpools(
  tools: Pick<DrainTools, 'bucket' | 'meter' | 'now'>,
): Promise<void> {
  showLoads((await Journal.read(tools.bucket)).legs, tools);
}

function showLoads(
  legs: Readonly<Record<string, Load>>,
  { meter, now }: Pick<DrainTools, 'meter' | 'now'>,
): void {
  for (const [leg, { objects, bytes, oldestMs }] of Object.entries(legs)) {
    const label = `leg="${leg}"`;
    const ageMs = objects === 0 ? 0 : Math.max(0, now() - oldestMs);
    meter.set('spool_objects', objects, label);
    meter.set('spool_bytes', bytes, label);
    meter.set('spool_oldest_age_seconds', ageMs / 1000, label);
  }
}

type SpeedWaiting = Waiting & { readonly table: SpooledTable };
type Outcome = 'ok' | 'failed' | 'refused' | 'dead';

/** One run over the spool. */
class Tick {
  /** Keys that are not in the spool any more. */
  readonly gone = new Set<string>();
  moved = 0;
  readonly #journal: Journal;
  readonly #settings: InsertSettings;
  readonly #tools: DrainTools;
  readonly #untilMs: number;
  /** Outcomes by table. */
  readonly #counts = new Map<SpooledTable, Record<Outcome, number>>();

  constructor(journal: Journal, settings: InsertSettings, tools: DrainTools) {
    this.#journal = journal;
    this.#settings = settings;
    this.#tools = tools;
    this.#untilMs = tools.now() + drainTickMsMax;
  }

  async run(waiting: readonly SpeedWaiting[]): Promise<void> {
    const nowMs = this.#tools.now();
    const queue = this.#ordered(waiting.filter(({ table }) => !this.#journal.rests(table, nowMs)));
    let left = drainObjectsPerTickMax;
    while (left > 0 && this.#tools.now() < this.#untilMs) {
      const wave = this.#next(queue, Math.min(left, drainObjectsAtOnce));
      if (wave.length === 0) break;
      left -= wave.length;
      await this.#move(wave);
    }
    for (const [table, { ok, failed, refused }] of this.#counts) {
      if (ok > 0) this.#journal.tookRows(table);
      else if (failed + refused > 0) this.#journal.tookNothing(table, this.#tools.now());
    }
  }

  /** Oldest first; rows that were refused before come last, so that they hold up no others. */
  #ordered(waiting: readonly SpeedWaiting[]): SpeedWaiting[] {
    const isRefused = ({ key }: SpeedWaiting) => Number(this.#journal.refusals(key) > 0);
    return waiting.toSorted(
      (a, b) =>
        isRefused(a) - isRefused(b) || a.receivedMs - b.receivedMs || (a.key < b.key ? -1 : 1),
    );
  }

  /** Takes the next objects off the queue, and those of tables that stopped with them. */
  #next(queue: SpeedWaiting[], count: number): SpeedWaiting[] {
    const wave: SpeedWaiting[] = [];
    while (wave.length < count) {
      const next = queue.shift();
      if (next === undefined) break;
      if (!this.#hasStopped(next.table)) wave.push(next);
    }
    return wave;
  }

  /** A fault stops a table for this tick; so do refusals, unless other rows were taken. */
  #hasStopped(table: SpooledTable): boolean {
    const counts = this.#counts.get(table);
    if (counts === undefined) return false;
    return counts.failed > 0 || (counts.ok === 0 && counts.refused >= drainObjectsAtOnce);
  }

  async #move(wave: readonly SpeedWaiting[]): Promise<void> {
    const outcomes = await Promise.all(wave.map((waiting) => this.#insert(waiting)));
    const gone: string[] = [];
    for (const [index, { key, table }] of wave.entries()) {
      const outcome = outcomes[index] ?? 'failed';
      const counts = this.#counts.get(table) ?? { ok: 0, failed: 0, refused: 0, dead: 0 };
      counts[outcome] += 1;
      this.#counts.set(table, counts);
      this.#tools.meter.add('drain_objects_total', 1, `result="${outcome}"`);
      if (outcome === 'ok' || outcome === 'dead') gone.push(key);
      if (outcome === 'ok') this.moved += 1;
    }
    if (gone.length === 0) return;
    await this.#tools.bucket.delete(gone);
    for (const key of gone) this.gone.add(key);
  }

  /** Inserts one object's rows. An object that is gone needs nothing. */
  async #insert({ key, table }: SpeedWaiting): Promise<Outcome> {
    const { bucket, warn } = this.#tools;
    const token = parseSpoolKey(key)?.requestId ?? '';
    let rows: Uint8Array | undefined;
    try {
      const object = await bucket.get(key);
      if (object === null) return 'ok';
      rows = new Uint8Array(await object.arrayBuffer());
      await insertRows(table, rows, token, this.#settings, this.#tools);
      return 'ok';
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown';
      warn(`Cannot drain "${key}": ${reason}`);
      if (rows === undefined || !(error instanceof ClickHouseError) || error.retryable) {
        return 'failed';
      }
      if (this.#journal.refuse(key) < drainTriesMax) return 'refused';
      return this.#setAside(key, table, rows, error);
    }
  }

  /** Keeps rows that ClickHouse will never take, with the reason, where no drain looks. */
  async #setAside(
    key: string,
    table: SpooledTable,
    rows: Uint8Array,
    error: ClickHouseError,
  ): Promise<Outcome> {
    const { bucket, now, warn } = this.#tools;
    const name = `${speedDeadPrefix(table)}${key.split('/').at(-1) ?? ''}`;
    const reason = {
      table,
      clickhouseCode: error.clickhouseCode,
      error: error.message,
      tries: drainTriesMax,
      refusedMs: now(),
    };
    try {
      await bucket.put(name, rows);
      await bucket.put(`${name}.json`, new TextEncoder().encode(JSON.stringify(reason)));
    } catch (cause) {
      warn(`Cannot set "${key}" aside: ${cause instanceof Error ? cause.message : 'unknown'}`);
      return 'failed';
    }
    warn(`Set "${key}" aside after ${drainTriesMax} tries: see "${name}.json"`);
    return 'dead';
  }
}
