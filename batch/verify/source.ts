/** SQL over files of the archive, which ClickHouse reads itself by its `s3` table function. Runs none. */
import { TidemarkError } from '../../schemas/errors.ts';
import { verifyFilesPerSource } from '../../schemas/limits/batch.ts';
import type { Settings } from '../../schemas/settings.ts';

export type SourceSettings = Pick<
  Settings,
  'S3_ENDPOINT' | 'S3_BUCKET' | 'S3_ACCESS_KEY_ID' | 'S3_SECRET_ACCESS_KEY'
>;

/** One of `count` parts of the rows: those whose values of the columns `by` hash to `index`, or lie between cuts. */
export interface Slice {
  readonly by: readonly string[];
  readonly index: number;
  readonly count: number;
  /** Where the ids of the one column are cut, ascending, in hexadecimals; one less than there are slices. */
  readonly cuts?: readonly string[] | undefined;
}

/** The condition of being in a slice. */
export function inSlice({ by, index, count, cuts }: Slice): string {
  if (count === 1) return '1';
  const columns = by.join(', ');
  if (cuts === undefined) return `cityHash64(${columns}) % ${count} = ${index}`;
  const [from, to] = [cuts[index - 1], cuts[index]].map((id) => id && `unhex('${id}')`);
  return `(${[from && `${columns} >= ${from}`, to && `${columns} < ${to}`].filter(Boolean).join(' AND ')})`;
}

/**
 * A query that gives `cuts` of the ids, 16 bytes each, of about as many rows: from those of every so many-th row of
 * `source`.
 */
export function cutsSql(source: string, id: string, count: number, every: number): string {
  return `SELECT arrayMap(
    slice -> hex(ids[1 + intDiv(slice * length(ids), ${count})]),
    range(1, ${count})
  ) AS cuts
  FROM (
    SELECT arraySort(groupArray(${id})) AS ids FROM ${source}
    WHERE rowNumberInAllBlocks() % ${every} = 0
  )`;
}

/**
 * A subquery over Parquet files of the bucket, all of their rows or a slice. `keys` are those of archive
 * files, at least one; throws `TidemarkError` CORRUPT_ARCHIVE for another. `more` are columns that
 * ClickHouse has beside those of files, such as `_path`.
 */
export function filesSource(
  settings: SourceSettings,
  keys: readonly string[],
  structure: readonly string[],
  slice: Slice = { by: [], index: 0, count: 1 },
  more: readonly string[] = [],
): string {
  const columns = ['*', ...more].join(', ');
  const sources: string[] = [];
  for (let from = 0; from < keys.length; from += verifyFilesPerSource) {
    const part = s3Function(settings, keys.slice(from, from + verifyFilesPerSource), structure);
    sources.push(`SELECT ${columns} FROM ${part} WHERE ${inSlice(slice)}`);
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

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
