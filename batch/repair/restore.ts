/**
 * Inserts what the speed tables lack. The places of missing items go into a table of the repair's own,
 * sorted by file, so that however many they are, little is in memory, and each file is read once. What is
 * inserted has a token of its own: a request that is repeated adds nothing.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { repairItemsPerPage } from '../../schemas/limits/repair.ts';
import { insertStatement, type SpeedTable } from '../../schemas/tables.ts';
import type { PeriodFile } from '../../workers/clients/commits/archive.ts';
import type { ClickHouse, QueryParams } from '../../workers/clients/clickhouse/clickhouse.ts';
import { fileNumber, missingSql, type Compared, type Part } from './compare.ts';

/** Where an item lies in its file; `id` is its value of the column that rows ascend by, in hex. */
export interface Place {
  readonly id: string;
  readonly partition: number;
  /** Decimal. */
  readonly offset: string;
  readonly itemIndex: number;
}

/** Makes rows, in RowBinary, of items of a file. */
export type Restore = (
  file: PeriodFile,
  places: readonly Place[],
) => AsyncIterable<{
  readonly table: SpeedTable;
  readonly rows: Uint8Array;
  readonly rowCount: number;
}>;

export interface MissingOptions {
  readonly clickhouse: ClickHouse;
  readonly compared: Compared;
  readonly files: readonly PeriodFile[];
  readonly params: QueryParams;
  readonly name: string;
  readonly restore: Restore;
  readonly signal?: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** The missing items of all slices. */
export class Missing {
  readonly #options: MissingOptions;
  readonly #table: string;
  #isThere = false;
  #inserts = 0;

  constructor(options: MissingOptions) {
    this.#options = options;
    this.#table = `tidemark_repair_${options.name}`;
  }

  /** Notes where the missing items of a slice lie. */
  async note(part: Part): Promise<void> {
    const { clickhouse, compared, params } = this.#options;
    if (!this.#isThere) {
      await clickhouse.command(
        `CREATE TABLE ${this.#table} (file UInt64, id String, partition Int32, offset Int64,
          item_index UInt32) ENGINE = MergeTree ORDER BY (file, id)`,
      );
      this.#isThere = true;
    }
    await clickhouse.command(
      `INSERT INTO ${this.#table} (file, id, partition, offset, item_index) ${missingSql(compared, part)}`,
      params,
    );
  }

  /** Inserts all that were noted, file by file; returns their number. */
  async restore(): Promise<number> {
    if (!this.#isThere) return 0;
    const { clickhouse, files, onProgress } = this.#options;
    const known = new Map(files.map((file) => [fileNumber(file.key), file]));
    const found = await clickhouse.query<{ file: string; items: string }>(
      `SELECT toString(file) AS file, count() AS items FROM ${this.#table} GROUP BY file ORDER BY file`,
    );
    let inserted = 0;
    for (const [index, { file: number }] of found.entries()) {
      const file = known.get(number);
      if (!file) {
        throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot repair from file ${number}: unknown`);
      }
      inserted += await this.#restoreFile(file, number);
      onProgress(`${inserted} items inserted from ${index + 1} of ${found.length} files`);
    }
    return inserted;
  }

  /** Drops the repair's table. */
  async close(): Promise<void> {
    if (!this.#isThere) return;
    const { clickhouse } = this.#options;
    await clickhouse.command(`DROP TABLE IF EXISTS ${this.#table} SYNC`, {}, { idempotent: true });
  }

  async #restoreFile(file: PeriodFile, number: string): Promise<number> {
    const { restore, signal } = this.#options;
    let inserted = 0;
    let after = '';
    for (;;) {
      signal?.throwIfAborted();
      const places = await this.#page(number, after);
      const last = places.at(-1);
      if (!last) return inserted;
      for await (const { table, rows, rowCount } of restore(file, places)) {
        await this.#insert(table, rows);
        inserted += rowCount;
      }
      after = last.id;
    }
  }

  /** The next places of a file, in the order of ids; those of one id stay together. */
  async #page(number: string, after: string): Promise<Place[]> {
    const rows = await this.#options.clickhouse.query<{
      id: string;
      partition: number;
      offset: string;
      item_index: number;
    }>(
      `SELECT id, partition, toString(offset) AS offset, item_index FROM ${this.#table}
       WHERE file = {file:UInt64} AND id > {after:String}
       ORDER BY id LIMIT ${repairItemsPerPage} WITH TIES`,
      { file: number, after },
    );
    return rows.map(({ item_index: itemIndex, ...row }) => ({ ...row, itemIndex }));
  }

  async #insert(table: SpeedTable, rows: Uint8Array): Promise<void> {
    const { clickhouse, name, signal } = this.#options;
    signal?.throwIfAborted();
    const deduplicationToken = `repair-${name}-${(this.#inserts += 1)}`;
    await clickhouse.insertBytes(insertStatement(table), rows, { deduplicationToken });
  }
}
