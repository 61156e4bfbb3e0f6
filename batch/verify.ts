/**
 * Proves a published run: lets the ClickHouse engine compute the period's figures again, straight from the
 * Parquet files and with its own functions, and compares. It shares no code with the batch.
 */
import { TidemarkError } from '../schemas/errors.ts';
import { verifyDifferencesMax, verifyFilesPerSource } from '../schemas/limits/batch.ts';
import { periodKey, type Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';

type SourceSettings = Pick<
  Settings,
  'S3_ENDPOINT' | 'S3_BUCKET' | 'S3_ACCESS_KEY_ID' | 'S3_SECRET_ACCESS_KEY'
>;

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
}

export interface ProofOptions {
  /** First millisecond of the period. */
  readonly periodMs: number;
  readonly seriesMax: number;
}

/** NaN and infinities as text: JSON has none of them, and they are not the same. */
const denormals = 'SETTINGS output_format_json_quote_denormals = 1';

type FigureRow = Readonly<Record<string, string | number | null>>;

/**
 * A subquery over Parquet files of the bucket, which ClickHouse reads itself by its `s3` table
 * function. `keys` are those of archive files; throws `TidemarkError` CORRUPT_ARCHIVE for another.
 */
export function filesSource(
  settings: SourceSettings,
  keys: readonly string[],
  structure: readonly string[],
): string {
  const sources: string[] = [];
  for (let from = 0; from < keys.length; from += verifyFilesPerSource) {
    const part = keys.slice(from, from + verifyFilesPerSource);
    sources.push(`SELECT * FROM ${s3Function(settings, part, structure)}`);
  }
  return `(${sources.join(' UNION ALL ')})`;
}

function s3Function(
  settings: SourceSettings,
  keys: readonly string[],
  structure: readonly string[],
): string {
  const odd = keys.find((key) => !/^[\w=/+.-]+$/.test(key));
  if (odd !== undefined) {
    throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot verify "${odd}": it is no archive file`);
  }
  // Braces around alternatives are a pattern that needs no listing; one alternative is no pattern.
  const names = keys.length === 1 ? (keys[0] ?? '') : `{${keys.join(',')}}`;
  const url = `${settings.S3_ENDPOINT.replace(/\/$/, '')}/${settings.S3_BUCKET}/${names}`;
  const secrets = [settings.S3_ACCESS_KEY_ID, settings.S3_SECRET_ACCESS_KEY];
  return `s3(${[url, ...secrets, 'Parquet', structure.join(', ')].map(quote).join(', ')})`;
}

export interface VerifyOptions extends ProofOptions {
  readonly clickhouse: ClickHouse;
  readonly settings: SourceSettings;
  readonly period: Period;
  readonly runId: string;
  /** Keys of the files that the run read. */
  readonly keys: readonly string[];
  readonly proofs: readonly Proof[];
}

/**
 * Compares a run's published figures with what the engine computes from the files, bit for bit.
 * Throws `ClickHouseError`, also when ClickHouse cannot reach the object store.
 */
export async function verifyRun(options: VerifyOptions): Promise<VerifyReport> {
  let [rows, figures] = [0, 0];
  const differences: Difference[] = [];
  for (const proof of options.proofs) {
    const recomputed = await recompute(proof, options);
    differences.push(...compareRows(proof, await readPublished(proof, options), recomputed));
    rows += recomputed.length;
    figures += recomputed.length * proof.figures.length;
  }
  const equal = differences.length === 0;
  return { equal, rows, figures, differences: differences.slice(0, verifyDifferencesMax) };
}

function readPublished(
  { table, keys, figures }: Proof,
  { clickhouse, period, runId }: VerifyOptions,
): Promise<FigureRow[]> {
  const { column, type, value } = periodKey(period);
  return clickhouse.query<FigureRow>(
    `SELECT ${[...keys, ...figures].join(', ')}
     FROM ${table} WHERE ${column} = {period:${type}} AND run_id = {run:String} ${denormals}`,
    { period: value, run: runId },
  );
}

async function recompute(proof: Proof, options: VerifyOptions): Promise<FigureRow[]> {
  const { clickhouse, settings, keys } = options;
  if (keys.length === 0) return [];
  const source = filesSource(settings, keys, proof.structure);
  return clickhouse.query<FigureRow>(`${proof.sql(source, options)} ${denormals}`);
}

function compareRows(
  proof: Proof,
  published: readonly FigureRow[],
  recomputed: readonly FigureRow[],
): Difference[] {
  const keyOf = (row: FigureRow) => JSON.stringify(proof.keys.map((key) => row[key]));
  const byKey = new Map(published.map((row) => [keyOf(row), row]));
  const differences = recomputed.flatMap((row) => compareRow(proof, byKey.get(keyOf(row)), row));
  const found = new Set(recomputed.map(keyOf));
  const extra = published.filter((row) => !found.has(keyOf(row)));
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

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
