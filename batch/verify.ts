/**
 * Proves a published run: lets the ClickHouse engine compute the period's figures again, straight from the
 * Parquet files and with its own functions, and compares row by row. What is too large for one query
 * is proved in slices. It shares no code with the batch.
 */
import { verifyDifferencesMax, verifySamplesMax } from '../schemas/limits/batch.ts';
import { periodKey, type Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import { overFiles } from './verify/damage.ts';
import { cutsSql, filesSource, inSlice, type Slice, type SourceSettings } from './verify/source.ts';

/** A figure that is not the same in both. */
export interface Difference {
  /** What the group is called by: its key, values separated by spaces. */
  readonly group: string;
  readonly figure: string;
  readonly published: string;
  readonly recomputed: string;
}

export interface VerifyReport {
  readonly equal: boolean;
  /** Groups that the engine found in the files. */
  readonly rows: number;
  /** Figures that were compared. */
  readonly figures: number;
  /** The first of the differences. */
  readonly differences: readonly Difference[];
}

/** A row as ClickHouse's JSON has it: 64-bit integers are strings, tuples and arrays nest. */
export type FigureRow = Readonly<Record<string, unknown>>;

/** How a published table is proved. */
export interface Proof {
  readonly table: string;
  /** Columns of the table that name a row. */
  readonly keys: readonly string[];
  /** The other columns of the query. */
  readonly figures: readonly string[];
  /** The archive's columns that the query reads, with their ClickHouse types. */
  readonly structure: readonly string[];
  /**
   * A ClickHouse query over the rows of `source`, a table, table function or subquery with the columns
   * of `structure`, that gives each row's exact figures.
   */
  sql(source: string, options: ProofOptions): string;
  /** How it is proved in slices. Without it the table is always proved by one query. */
  readonly slices?: WholeSlices | PartSlices;
}

/** Slices that have every row of the table whole: they are proved one after the other. */
export interface WholeSlices {
  /** Columns of the archive that deal its rows to slices; equal for all copies of an item. */
  readonly by: readonly string[];
  /** The columns of the table that are the same, so that its rows fall into the same slices. */
  readonly tableBy: readonly string[];
}

/** Slices that have parts of rows, which add up to the figures. */
export interface PartSlices {
  readonly by: readonly string[];
  /**
   * The one column of `by` is ids of 16 bytes that files ascend by: slices are ranges of them, and what lies outside of
   * one is not read.
   */
  readonly isSorted?: true;
  /**
   * As `Proof.sql`, of one slice. `published` is a subquery of the rows to be proved; `whole` is the source of all
   * slices, for what has to be looked up in others, and says which one this is.
   */
  sql(source: string, published: string, options: ProofOptions, whole: WholeSource): string;
  /** Two parts of one row as one. */
  add(left: FigureRow, right: FigureRow): FigureRow;
  /** A row's figures from all of its parts. */
  finish(row: FigureRow): FigureRow;
  /** The rows that there should be, where that only shows in all of them. @default those that there are */
  settle?(rows: readonly FigureRow[], options: ProofOptions): readonly FigureRow[];
}

/** A subquery of all rows, and the slice of them that is meant. */
export interface WholeSource {
  readonly source: string;
  readonly slice: Slice;
}

export interface ProofOptions {
  /** First millisecond of the period. */
  readonly periodMs: number;
  readonly seriesMax: number;
  readonly edgesMax: number;
  readonly operationsMax: number;
}

/** How far a verification is: `done` of `slices` queries over a table's rows. */
export interface VerifyProgress {
  readonly table: string;
  readonly done: number;
  readonly slices: number;
}

export interface VerifyOptions extends ProofOptions {
  readonly clickhouse: ClickHouse;
  readonly settings: SourceSettings & Pick<Settings, 'TIDEMARK_VERIFY_ROWS'>;
  readonly period: Period;
  readonly runId: string;
  /** Keys of the files that the run read. */
  readonly keys: readonly string[];
  /** Rows of these files; past TIDEMARK_VERIFY_ROWS they are proved in slices. @default 0 */
  readonly rows?: number;
  readonly proofs: readonly Proof[];
  readonly onProgress?: (progress: VerifyProgress) => void;
  /** Stops between two queries. */
  readonly signal?: AbortSignal;
}

/** NaN and infinities as text: JSON has none of them, and they are not the same. */
const denormals = 'SETTINGS output_format_json_quote_denormals = 1';

/**
 * Compares a run's published figures with what the engine computes from the files, bit for bit.
 * Throws `ClickHouseError`, also when ClickHouse cannot reach the object store, and CORRUPT_ARCHIVE for
 * a file that it cannot read.
 */
export async function verifyRun(options: VerifyOptions): Promise<VerifyReport> {
  let [rows, figures] = [0, 0];
  const differences: Difference[] = [];
  for (const proof of options.proofs) {
    const compared = await verifyTable(proof, options);
    keep(differences, compared.differences);
    rows += compared.rows;
    figures += compared.rows * proof.figures.length;
  }
  return { equal: differences.length === 0, rows, figures, differences };
}

/** Adds differences to the list, as far as they are reported. */
function keep(list: Difference[], more: readonly Difference[]): void {
  list.push(...more.slice(0, verifyDifferencesMax - list.length));
}

interface Compared {
  readonly rows: number;
  readonly differences: readonly Difference[];
}

async function verifyTable(proof: Proof, options: VerifyOptions): Promise<Compared> {
  const { slices } = proof;
  const wanted = Math.ceil((options.rows ?? 0) / options.settings.TIDEMARK_VERIFY_ROWS);
  const count = slices === undefined ? 1 : Math.max(1, wanted);
  if (count > 1 && slices !== undefined && 'add' in slices) {
    return verifyParts(proof, slices, count, options);
  }
  const differences: Difference[] = [];
  let rows = 0;
  for await (const index of counted(proof, count, options)) {
    const part = { proof, options, index, count };
    const recomputed = await recompute(part, (source) => proof.sql(source, options));
    keep(differences, compareRows(proof, await readPublished(part), recomputed));
    rows += recomputed.length;
  }
  return { rows, differences };
}

/** Adds the parts of all slices up, then compares. Groups are held in memory, never rows of the archive. */
async function verifyParts(
  proof: Proof,
  slices: PartSlices,
  count: number,
  options: VerifyOptions,
): Promise<Compared> {
  const { column, type } = periodKey(options.period);
  const where = `${column} = {period:${type}} AND run_id = {run:String}`;
  const published = `(SELECT * FROM ${proof.table} WHERE ${where})`;
  const sums = new Map<string, FigureRow>();
  const cuts = slices.isSorted && (await cutIds(slices, count, options));
  for await (const index of counted(proof, count, options)) {
    const part = { proof, options, index, count, cuts };
    const rows = await recompute(part, (source, whole) =>
      slices.sql(source, published, options, whole),
    );
    for (const row of rows) {
      const key = keyOf(proof, row);
      const sum = sums.get(key);
      sums.set(key, sum === undefined ? row : slices.add(sum, row));
    }
  }
  const finished = [...sums.values()].map((row) => slices.finish(row));
  const recomputed = slices.settle?.(finished, options) ?? finished;
  const all = await readPublished({ proof, options, index: 0, count: 1 });
  return { rows: recomputed.length, differences: compareRows(proof, all, recomputed) };
}

/** Where the ids of slices are cut, so that each has about as many rows. */
async function cutIds(
  { by: [id = ''] }: PartSlices,
  count: number,
  { clickhouse, settings, keys, rows = 0 }: VerifyOptions,
): Promise<readonly string[] | undefined> {
  const structure = [`${id} FixedString(16)`];
  const every = Math.ceil(rows / verifySamplesMax);
  return overFiles({ clickhouse, settings, keys, structure }, async () => {
    const sql = cutsSql(filesSource(settings, keys, structure), id, count, every);
    const [found] = await clickhouse.query<{ cuts: string[] }>(sql);
    return found?.cuts;
  });
}

/** The slices' numbers; says how far it is, and stops when it is told to. */
async function* counted({ table }: Proof, slices: number, { onProgress, signal }: VerifyOptions) {
  for (let index = 0; index < slices; index += 1) {
    signal?.throwIfAborted();
    onProgress?.({ table, done: index, slices });
    yield index;
  }
  onProgress?.({ table, done: slices, slices });
}

interface Part {
  readonly proof: Proof;
  readonly options: VerifyOptions;
  readonly index: number;
  readonly count: number;
  readonly cuts?: readonly string[] | undefined;
}

function readPublished({ proof, options, index, count }: Part): Promise<FigureRow[]> {
  const { table, keys, figures, slices } = proof;
  const { column, type, value } = periodKey(options.period);
  const by = slices !== undefined && 'tableBy' in slices ? slices.tableBy : [];
  return options.clickhouse.query<FigureRow>(
    `SELECT ${[...keys, ...figures].join(', ')} FROM ${table}
     WHERE ${column} = {period:${type}} AND run_id = {run:String}
       AND ${inSlice({ by, index, count })}
     ${denormals}`,
    { period: value, run: options.runId },
  );
}

async function recompute(
  { proof, options, index, count, cuts }: Part,
  sqlOf: (source: string, whole: WholeSource) => string,
): Promise<FigureRow[]> {
  const { clickhouse, settings, keys, period, runId } = options;
  if (keys.length === 0) return [];
  const slice = { by: proof.slices?.by ?? [], index, count, cuts };
  const whole = { source: filesSource(settings, keys, proof.structure), slice };
  const sql = sqlOf(filesSource(settings, keys, proof.structure, slice), whole);
  const params = { period: periodKey(period).value, run: runId };
  return overFiles({ clickhouse, settings, keys, structure: proof.structure }, () =>
    clickhouse.query<FigureRow>(`${sql} ${denormals}`, params),
  );
}

function keyOf({ keys }: Proof, row: FigureRow): string {
  return JSON.stringify(keys.map((key) => row[key]));
}

function compareRows(
  proof: Proof,
  published: readonly FigureRow[],
  recomputed: readonly FigureRow[],
): Difference[] {
  const byKey = new Map(published.map((row) => [keyOf(proof, row), row]));
  const differences = recomputed.flatMap((row) =>
    compareRow(proof, byKey.get(keyOf(proof, row)), row),
  );
  const found = new Set(recomputed.map((row) => keyOf(proof, row)));
  const extra = published.filter((row) => !found.has(keyOf(proof, row)));
  const twice = byKey.size === published.length ? [] : ['a group is published twice'];
  return [
    ...differences,
    ...extra.flatMap((row) => compareRow(proof, row, undefined)),
    ...twice.map((figure) => ({ group: proof.table, figure, published: '', recomputed: '' })),
  ];
}

function compareRow(
  { keys, figures }: Proof,
  published: FigureRow | undefined,
  recomputed: FigureRow | undefined,
): Difference[] {
  const row = published ?? recomputed;
  if (row === undefined) return [];
  const group = keys.map((key) => String(row[key])).join(' ');
  return figures
    .filter((figure) => textOf(published, figure) !== textOf(recomputed, figure))
    .map((figure) => ({
      group,
      figure,
      published: textOf(published, figure),
      recomputed: textOf(recomputed, figure),
    }));
}

/** Figures may be lists. */
function textOf(row: FigureRow | undefined, figure: string): string {
  if (row === undefined) return 'no row';
  // NaN has a sign, which means nothing.
  return JSON.stringify(row[figure]).replaceAll('"-nan"', '"nan"');
}
