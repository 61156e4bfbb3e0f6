/** Resources about the books: what was received against what is archived and shown. Only data. */
import * as z from 'zod/mini';
import { differenceKinds } from '../../schemas/difference.ts';
import { bound, date, described, limit, resource, where } from './resource.ts';

const signal = z.optional(described(z.enum(['traces', 'logs', 'metrics']), 'Only this signal'));

/** How wide the rows' steps may be, and what gives the beginning of a minute's step. */
const steps = {
  day: "toStartOfDay(minute, 'UTC')",
  hour: "toStartOfHour(minute, 'UTC')",
  minute: 'minute',
} as const;

/** The kinds that are faults, as ClickHouse has a list of texts. */
const faults = Object.entries(differenceKinds)
  .filter(([, { weight }]) => weight === 'fault')
  .map(([kind]) => `'${kind}'`)
  .join(', ');

const items = (description: string) => described(z.int(), description);

export const ledger = resource({
  path: '/ledger',
  name: 'ledger',
  summary: 'The books of one day as last computed: received = archived + rejected + copies',
  query: z.object({
    date,
    signal,
    step: z.optional(described(z.enum(['day', 'hour', 'minute']), 'Time of a row (default hour)')),
    limit,
  }),
  row: z.object({
    signal: z.string(),
    time: described(z.string(), 'Begin of the step, UTC: when items were received'),
    computedAt: z.string(),
    isSettled: described(z.boolean(), 'False while something may still be on its way'),
    received: items('Items of requests that were answered with 200'),
    accepted: items('Valid items'),
    rejected: items('Invalid items'),
    rejectedBy: z.record(z.string(), z.int()),
    quarantined: items('Of the accepted: archived only, because their time is too far off'),
    copies: items('Of the accepted: left out of a group that had them already'),
    refused: items('Items of requests that were answered with 503'),
    archived: items('Rows of the archive that came through the edge'),
    archivedOther: items('Rows of the archive that came another way'),
    speed: items('Rows of the speed tables'),
    late: items('Of them: received after their day had been published'),
    differing: items('Items of differences that are faults'),
  }),
  read: (asked) => ({
    sql: `SELECT signal, ${steps[asked.step ?? 'hour']} AS time, max(computed_at) AS computedAt,
        toBool(min(is_settled)) AS isSettled, sum(ledger.received) AS received,
        sum(ledger.accepted) AS accepted, sum(ledger.rejected) AS rejected,
        sumMap(rejected_by) AS rejectedBy, sum(ledger.quarantined) AS quarantined,
        sum(ledger.copies) AS copies, sum(ledger.refused) AS refused,
        sum(ledger.archived) AS archived, sum(archived_other) AS archivedOther,
        sum(ledger.speed) AS speed, sum(ledger.late) AS late,
        sum(arraySum(arrayMap((kind, n) -> if(kind IN (${faults}), n, 0),
          mapKeys(differences), mapValues(differences)))) AS differing
      FROM ledger ${where(conditions(asked.signal))}
      GROUP BY signal, time ORDER BY time, signal LIMIT {rows:UInt32}`,
    parameters: bound({ date: asked.date, signal: asked.signal, rows: asked.rowsMax }),
  }),
});

export const differences = resource({
  path: '/ledger/differences',
  name: 'differences',
  summary: 'Every difference in the books of one day, by name',
  query: z.object({ date, signal, limit }),
  row: z.object({
    signal: z.string(),
    kind: described(z.string(), `One of ${Object.keys(differenceKinds).join(', ')}`),
    items: z.int(),
    minutes: items('Minutes that have it'),
    from: described(z.string(), 'The first of them'),
    to: described(z.string(), 'The last of them'),
  }),
  read: (asked) => ({
    sql: `SELECT signal, difference.1 AS kind, sum(difference.2) AS items, count() AS minutes,
        min(minute) AS from, max(minute) AS to
      FROM ledger ARRAY JOIN CAST(differences, 'Array(Tuple(String, UInt64))') AS difference
      ${where(conditions(asked.signal))}
      GROUP BY signal, kind ORDER BY signal, items DESC, kind LIMIT {rows:UInt32}`,
    parameters: bound({ date: asked.date, signal: asked.signal, rows: asked.rowsMax }),
  }),
});

function conditions(ofSignal: string | undefined) {
  return [
    'tenant_id = {tenant:String}',
    "minute >= toDateTime({date:Date}, 'UTC')",
    "minute < toDateTime({date:Date} + 1, 'UTC')",
    ofSignal !== undefined && 'signal = {signal:String}',
  ];
}
