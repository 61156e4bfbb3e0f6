/**
 * Proves a published run: lets the ClickHouse engine compute the day's figures again, straight from the
 * Parquet files and with its own functions, and compares. It shares no code with the batch.
 */
import { TidemarkError } from '../schemas/errors.ts';
import { verifyDifferencesMax, verifyFilesPerSource } from '../schemas/limits/batch.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';

type SourceSettings = Pick<
  Settings,
  'S3_ENDPOINT' | 'S3_BUCKET' | 'S3_ACCESS_KEY_ID' | 'S3_SECRET_ACCESS_KEY'
>;

/** A figure that is not the same in both. */
export interface Difference {
  readonly tenantId: string;
  readonly serviceName: string;
  readonly operationName: string;
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

/** What the query of `verifySql` gives and `service_stats_batch` holds, beside the group's key. */
const figures = [
  'total_spans',
  'duplicate_spans',
  'p50_ms',
  'p95_ms',
  'p99_ms',
  'min_ms',
  'max_ms',
  'mean_ms',
  'error_count',
  'unique_traces',
  'conflict_spans',
] as const;

type StatsRow = Readonly<Record<(typeof figures)[number], string | number | null>> & {
  readonly tenant_id: string;
  readonly service_name: string;
  readonly operation_name: string;
};

/** The columns that `verifySql` reads, as ClickHouse types. */
const structure = [
  'TenantId String',
  'ServiceName String',
  'SpanName String',
  'TraceId FixedString(16)',
  'SpanId FixedString(8)',
  'SpanKind String',
  'StatusCode String',
  'Duration UInt64',
  "IngestedAt DateTime64(3, ''UTC'')",
  'Partition Int32',
  'Offset Int64',
  'ItemIndex UInt32',
].join(', ');

/**
 * A ClickHouse query over the rows of `source` (a table, table function or subquery with the archive's
 * columns) that gives each group's exact figures. Of the copies of a span, one identity of (tenant, trace id,
 * span id, kind), the first by (IngestedAt, Partition, Offset, ItemIndex) counts; the others are
 * duplicates of the group that they name.
 */
export function verifySql(source: string): string {
  return `SELECT
  TenantId AS tenant_id,
  ServiceName AS service_name,
  SpanName AS operation_name,
  countIf(place = 1) AS total_spans,
  countIf(place > 1) AS duplicate_spans,
  ${milliseconds('quantileExactInclusive', '(0.5)')} AS p50_ms,
  ${milliseconds('quantileExactInclusive', '(0.95)')} AS p95_ms,
  ${milliseconds('quantileExactInclusive', '(0.99)')} AS p99_ms,
  ${milliseconds('min', '')} AS min_ms,
  ${milliseconds('max', '')} AS max_ms,
  ${milliseconds('avg', '')} AS mean_ms,
  countIf(place = 1 AND content.3) AS error_count,
  uniqExactIf(TraceId, place = 1) AS unique_traces,
  countIf(content != first_content) AS conflict_spans
FROM
(
  SELECT
    TenantId,
    ServiceName,
    SpanName,
    TraceId,
    Duration,
    (ServiceName, SpanName, StatusCode = 'Error', Duration) AS content,
    row_number() OVER arrival AS place,
    first_value(content) OVER arrival AS first_content
  FROM ${source}
  WINDOW arrival AS (
    PARTITION BY TenantId, TraceId, SpanId, SpanKind
    ORDER BY IngestedAt, Partition, Offset, ItemIndex
  )
)
GROUP BY tenant_id, service_name, operation_name
ORDER BY tenant_id, service_name, operation_name`;
}

/** An aggregate over the durations of the group's distinct spans; it has none without a span. */
function milliseconds(aggregate: string, parameters: string): string {
  return `if(total_spans = 0, nan, ${aggregate}If${parameters}(Duration, place = 1) / 1e6)`;
}

/**
 * A subquery over Parquet files of the bucket, which ClickHouse reads itself by its `s3` table
 * function. `keys` are those of archive files; throws `TidemarkError` CORRUPT_ARCHIVE for another.
 */
export function filesSource(settings: SourceSettings, keys: readonly string[]): string {
  const sources: string[] = [];
  for (let from = 0; from < keys.length; from += verifyFilesPerSource) {
    const part = keys.slice(from, from + verifyFilesPerSource);
    sources.push(`SELECT * FROM ${s3Function(settings, part)}`);
  }
  return `(${sources.join(' UNION ALL ')})`;
}

function s3Function(settings: SourceSettings, keys: readonly string[]): string {
  const odd = keys.find((key) => !/^[\w=/+.-]+$/.test(key));
  if (odd !== undefined) {
    throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot verify "${odd}": it is no archive file`);
  }
  // Braces around alternatives are a pattern that needs no listing; one alternative is no pattern.
  const names = keys.length === 1 ? (keys[0] ?? '') : `{${keys.join(',')}}`;
  const url = `${settings.S3_ENDPOINT.replace(/\/$/, '')}/${settings.S3_BUCKET}/${names}`;
  const secrets = [settings.S3_ACCESS_KEY_ID, settings.S3_SECRET_ACCESS_KEY];
  return `s3(${[url, ...secrets].map(quote).join(', ')}, 'Parquet', '${structure}')`;
}

export interface VerifyOptions {
  readonly clickhouse: ClickHouse;
  readonly settings: SourceSettings;
  readonly date: string;
  readonly runId: string;
  /** Keys of the files that the run read. */
  readonly keys: readonly string[];
}

/**
 * Compares a run's published figures with what the engine computes from the files, bit for bit.
 * Throws `ClickHouseError`, also when ClickHouse cannot reach the object store.
 */
export async function verifyRun(options: VerifyOptions): Promise<VerifyReport> {
  const { clickhouse, settings, date, runId, keys } = options;
  const published = await clickhouse.query<StatsRow>(
    `SELECT tenant_id, service_name, operation_name, ${figures.join(', ')}
     FROM service_stats_batch WHERE date = {date:Date} AND run_id = {run:String}`,
    { date, run: runId },
  );
  const sql = keys.length === 0 ? undefined : verifySql(filesSource(settings, keys));
  const recomputed = sql === undefined ? [] : await clickhouse.query<StatsRow>(sql);
  const differences = compareRows(published, recomputed);
  return {
    equal: differences.length === 0,
    rows: recomputed.length,
    figures: recomputed.length * figures.length,
    differences: differences.slice(0, verifyDifferencesMax),
  };
}

function compareRows(
  published: readonly StatsRow[],
  recomputed: readonly StatsRow[],
): Difference[] {
  const byKey = new Map(published.map((row) => [keyOf(row), row]));
  const differences = recomputed.flatMap((row) => compareRow(byKey.get(keyOf(row)), row));
  const found = new Set(recomputed.map(keyOf));
  const extra = published.filter((row) => !found.has(keyOf(row)));
  const missing = byKey.size === published.length ? [] : ['a group is published twice'];
  return [
    ...differences,
    ...extra.flatMap((row) => compareRow(row, undefined)),
    ...missing.map((figure) => ({ ...noGroup, figure })),
  ];
}

const noGroup = {
  tenantId: '',
  serviceName: '',
  operationName: '',
  published: '',
  recomputed: '',
};

function compareRow(published: StatsRow | undefined, recomputed: StatsRow | undefined) {
  const row = published ?? recomputed;
  if (row === undefined) return [];
  return figures
    .filter((figure) => published?.[figure] !== recomputed?.[figure])
    .map((figure) => ({
      tenantId: row.tenant_id,
      serviceName: row.service_name,
      operationName: row.operation_name,
      figure,
      published: String(published?.[figure]),
      recomputed: String(recomputed?.[figure]),
    }));
}

function keyOf(row: StatsRow): string {
  return JSON.stringify([row.tenant_id, row.service_name, row.operation_name]);
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
