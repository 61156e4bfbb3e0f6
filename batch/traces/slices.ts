/**
 * How `service_stats_batch` is proved in slices of trace ids, whose counts add up; `nearby.ts` knows how durations
 * do.
 */
import { addCounts, countOf } from '../verify/sums.ts';
import type { FigureRow, PartSlices, ProofOptions } from '../verify.ts';
import { copyCounts, overflow, spanCopies, stateType } from './copies.ts';
import {
  addDurations,
  addMaps,
  durationFigures,
  durationParts,
  finishDurations,
  publishedNs,
} from './nearby.ts';

const counts = ['total_spans', 'duplicate_spans', 'error_count', 'unique_traces', 'conflict_spans'];

/** What a group's row has that is compared, beside its key. */
const compared = [...counts, ...durationFigures, 'quantile_state'];

export const spanSlices: PartSlices = {
  by: ['TraceId'],
  isSorted: true,
  sql: partSql,
  add,
  finish,
  settle,
};

/**
 * The parts of rows. Which operations are published decides where the others go, to the overflow if the
 * service has one: whether they are the right ones shows in the end, in `settle`.
 */
function partSql(source: string, published: string): string {
  const kept = 'place = 1';
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
  ${durationParts('Duration', kept)}
FROM
(
  SELECT
    spans.*,
    ${publishedNs}
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

type Json = string | number;

function add(left: FigureRow, right: FigureRow): FigureRow {
  return {
    ...addCounts(counts)(left, right),
    ...addDurations(left, right, 'total_spans'),
    quantile_state: addStates(stateOf(left), stateOf(right)),
    folded: addFolded(foldedOf(left), foldedOf(right)),
  };
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

function finish(row: FigureRow): FigureRow {
  return { ...row, ...finishDurations(row, 'total_spans') };
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
