/**
 * How `service_stats_batch` is proved in slices of trace ids. Counts of slices add up, quantiles do not; so
 * each slice says how many durations are below the published quantile, and which lie next to it.
 * Together they show which value has the quantile's rank, or that the published one is not near it.
 */
import { addCounts, countOf } from '../sums.ts';
import type { FigureRow, PartSlices, ProofOptions } from '../verify.ts';
import { copyCounts, overflow, spanCopies, stateType } from './copies.ts';

const quantiles = { p50_ms: 0.5, p95_ms: 0.95, p99_ms: 0.99 } as const;
const counts = [
  'total_spans',
  'duplicate_spans',
  'error_count',
  'unique_traces',
  'conflict_spans',
  'total',
];

/** What a group's row has that is compared, beside its key. */
const compared = [
  ...counts.slice(0, -1),
  ...Object.keys(quantiles),
  'min_ms',
  'max_ms',
  'mean_ms',
  'quantile_state',
];

export const spanSlices: PartSlices = { by: ['TraceId'], sql: partSql, add, finish, settle };

/**
 * The parts of rows. Which operations are published decides where the others go, to the overflow if the
 * service has one: whether they are the right ones shows in the end, in `settle`.
 */
function partSql(source: string, published: string): string {
  const kept = 'place = 1';
  const columns = Object.keys(quantiles).map((name) => `${nearby(name)} AS ${name}_nearby`);
  const { spans, duplicates, errors, traces, conflicts, histogram } = copyCounts;
  return `SELECT
  TenantId AS tenant_id,
  ServiceName AS service_name,
  operation AS operation_name,
  SpanKind AS span_kind,
  ${spans} AS total_spans,
  ${duplicates} AS duplicate_spans,
  ${errors} AS error_count,
  ${traces} AS unique_traces,
  ${conflicts} AS conflict_spans,
  CAST(${histogram}, '${stateType}') AS quantile_state,
  groupUniqArrayIf(SpanName, operation = '${overflow}') AS folded_names,
  sumMapIf([SpanName], [toUInt64(1)], operation = '${overflow}' AND ${kept}) AS folded_spans,
  minIf(Duration, ${kept}) AS least,
  maxIf(Duration, ${kept}) AS greatest,
  toString(sumIf(toUInt128(Duration), ${kept})) AS total,
  ${columns.join(',\n  ')}
FROM
(
  SELECT
    spans.*,
    ${Object.keys(quantiles)
      .map((name) => `published.${name} * 1e6 AS ${name}_ns`)
      .join(',\n    ')}
  FROM
  (
    SELECT *, if(
      (TenantId, ServiceName) IN (
        SELECT tenant_id, service_name FROM ${published} WHERE operation_name = '${overflow}'
      ) AND (TenantId, ServiceName, SpanName) NOT IN (
        SELECT tenant_id, service_name, operation_name FROM ${published}
      ), '${overflow}', SpanName
    ) AS operation
    FROM ${spanCopies(source)}
  ) AS spans
  LEFT JOIN ${published} AS published ON TenantId = published.tenant_id
    AND ServiceName = published.service_name
    AND operation = published.operation_name
    AND SpanKind = published.span_kind
)
GROUP BY tenant_id, service_name, operation_name, span_kind`;
}

/**
 * How many durations are below the published quantile, the greatest of them, those that are as near to it as
 * rounding can be (and how many of each), and the least above. Doubles keep the order of durations.
 */
function nearby(name: string): string {
  const edge = (factor: string) => `${name}_ns * (1 ${factor} ${2 ** -50})`;
  const below = `place = 1 AND toFloat64(Duration) < ${edge('-')}`;
  const within = `place = 1 AND toFloat64(Duration) BETWEEN ${edge('-')} AND ${edge('+')}`;
  const above = `place = 1 AND toFloat64(Duration) > ${edge('+')}`;
  return `(
    countIf(${below}),
    maxIf(Duration, ${below}),
    sumMapIf([Duration], [toUInt64(1)], ${within}),
    countIf(${above}),
    minIf(Duration, ${above})
  )`;
}

type Json = string | number;
type Nearby = readonly [Json, Json, readonly [readonly Json[], readonly Json[]], Json, Json];

function add(left: FigureRow, right: FigureRow): FigureRow {
  const sum: Record<string, unknown> = { ...addCounts(counts)(left, right) };
  if (countOf(left, 'total_spans') === 0n) {
    [sum['least'], sum['greatest']] = [right['least'], right['greatest']];
  } else if (countOf(right, 'total_spans') > 0n) {
    sum['least'] = String(least(countOf(left, 'least'), countOf(right, 'least')));
    sum['greatest'] = String(-least(-countOf(left, 'greatest'), -countOf(right, 'greatest')));
  }
  for (const name of Object.keys(quantiles)) {
    const of = (row: FigureRow) => row[`${name}_nearby`] as Nearby;
    sum[`${name}_nearby`] = addNearby(of(left), of(right));
  }
  sum['quantile_state'] = addStates(stateOf(left), stateOf(right));
  sum['folded'] = addFolded(foldedOf(left), foldedOf(right));
  return sum;
}

/** Operations of an overflow, and the spans of each. */
type Folded = Map<string, bigint>;

function foldedOf(row: FigureRow): Folded {
  const known = row['folded'] as Folded | undefined;
  if (known !== undefined) return known;
  const folded = new Map((row['folded_names'] as string[]).map((name) => [name, 0n]));
  const [names, spans] = row['folded_spans'] as readonly [readonly string[], readonly Json[]];
  for (const [i, name] of names.entries()) folded.set(name, BigInt(spans[i] ?? 0));
  return folded;
}

/** Adds to the left one, which is the larger after a while. */
function addFolded(left: Folded, right: Folded): Folded {
  for (const [name, spans] of right) left.set(name, (left.get(name) ?? 0n) + spans);
  return left;
}

function addNearby(left: Nearby, right: Nearby): Nearby {
  const below = BigInt(left[0]) + BigInt(right[0]);
  const above = BigInt(left[3]) + BigInt(right[3]);
  const highest = -least(-BigInt(left[1]), -BigInt(right[1]));
  const lowest = [left, right]
    .filter((side) => BigInt(side[3]) > 0n)
    .map((side) => BigInt(side[4]));
  const next = lowest.length === 0 ? 0n : lowest.reduce(least);
  const [values, numbers] = addMaps(left[2], right[2]);
  return [String(below), String(highest), [values, numbers], String(above), String(next)];
}

interface State {
  readonly buckets: readonly Json[];
  readonly counts: readonly Json[];
}

function stateOf(row: FigureRow): State {
  return row['quantile_state'] as State;
}

function addStates(left: State, right: State): State {
  const [buckets, numbers] = addMaps([left.buckets, left.counts], [right.buckets, right.counts]);
  return { buckets: buckets.map(Number), counts: numbers };
}

type Counted = readonly [readonly Json[], readonly Json[]];

/** Values and how many of each there are, ascending. */
function addMaps(left: Counted, right: Counted): [string[], string[]] {
  const sums = new Map<bigint, bigint>();
  for (const [values, numbers] of [left, right]) {
    for (const [i, value] of values.entries()) {
      const known = sums.get(BigInt(value)) ?? 0n;
      sums.set(BigInt(value), known + BigInt(numbers[i] ?? 0));
    }
  }
  const sorted = [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [sorted.map(([value]) => String(value)), sorted.map(([, count]) => String(count))];
}

function finish(row: FigureRow): FigureRow {
  const spans = Number(row['total_spans']);
  const figures: Record<string, unknown> = { ...row };
  const ifAny = (ns: number) => (spans === 0 ? 'nan' : ns / 1e6);
  figures['min_ms'] = ifAny(Number(row['least']));
  figures['max_ms'] = ifAny(Number(row['greatest']));
  figures['mean_ms'] = ifAny(Number(row['total']) / spans);
  for (const [name, quantile] of Object.entries(quantiles)) {
    const nearest = row[`${name}_nearby`] as Nearby;
    figures[name] = spans === 0 ? 'nan' : quantileMs(nearest, quantile, spans);
  }
  return figures;
}

/**
 * Puts those operations by themselves that should be, if others are published: a row that has nothing but its
 * name and its spans is different from any, and so is none.
 */
function settle(
  rows: readonly FigureRow[],
  { operationsMax }: Pick<ProofOptions, 'operationsMax'>,
): FigureRow[] {
  const services = Map.groupBy(rows, (row) =>
    JSON.stringify([row['tenant_id'], row['service_name']]),
  );
  return [...services.values()].flatMap((own) => settleService(own, operationsMax));
}

function settleService(rows: readonly FigureRow[], operationsMax: number): FigureRow[] {
  const spans: Folded = new Map();
  const isFolded = new Set<string>();
  for (const row of rows) {
    const name = String(row['operation_name']);
    const own = name === overflow ? foldedOf(row) : new Map([[name, countOf(row, 'total_spans')]]);
    addFolded(spans, own);
    if (name === overflow) for (const each of own.keys()) isFolded.add(each);
  }
  const kept = new Set(
    [...spans]
      .toSorted(biggestFirst)
      .slice(0, operationsMax)
      .map(([name]) => name),
  );
  const stub = (name: string) => ({
    ...Object.fromEntries(compared.map((figure) => [figure, null])),
    tenant_id: rows[0]?.['tenant_id'],
    service_name: rows[0]?.['service_name'],
    operation_name: name,
    span_kind: '',
    total_spans: String(spans.get(name) ?? 0n),
  });
  const right = rows.filter(
    ({ operation_name: name }) => name === overflow || kept.has(String(name)),
  );
  const missing = [...kept].filter((name) => isFolded.has(name) && name !== overflow);
  const lost = right.length < rows.length && isFolded.size === 0 ? [overflow] : [];
  return [...right, ...[...missing, ...lost].map(stub)];
}

/** By spans, then by the bytes of the name. */
function biggestFirst([a, spansOfA]: [string, bigint], [b, spansOfB]: [string, bigint]): number {
  if (spansOfA !== spansOfB) return spansOfA > spansOfB ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Type 7 of Hyndman and Fan, with the operations of `quantileExactInclusive`; or why it is another. */
function quantileMs(nearest: Nearby, quantile: number, spans: number): number | string {
  const position = quantile * (spans - 1) + 1;
  const rank = Math.min(Math.floor(position), spans);
  const lower = valueAt(nearest, BigInt(rank));
  const upper = position === rank ? lower : valueAt(nearest, BigInt(rank + 1));
  if (lower === undefined || upper === undefined) {
    return `not near it: ${nearest[0]} of ${spans} durations are below, ${nearest[3]} above`;
  }
  return (Number(lower) + (position - rank) * Number(upper - lower)) / 1e6;
}

/** The duration of this rank, from 1, if it is among those that are known. */
function valueAt([below, highest, [values, numbers], above, next]: Nearby, rank: bigint) {
  let last = BigInt(below);
  if (rank <= last) return rank === last ? BigInt(highest) : undefined;
  for (const [i, value] of values.entries()) {
    last += BigInt(numbers[i] ?? 0);
    if (rank <= last) return BigInt(value);
  }
  return rank === last + 1n && BigInt(above) > 0n ? BigInt(next) : undefined;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
