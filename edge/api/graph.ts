/** The resource of the service graph. Only data. */
import * as z from 'zod/mini';
import { bound, date, described, limit, provenance, resource, text, where } from './resource.ts';

const milliseconds = described(z.nullable(z.number()), 'Milliseconds');

export const graph = resource({
  path: '/graph',
  name: 'graph',
  summary:
    'Who called whom on one day: exact where the batch has published it, else live; the busiest first',
  query: z.object({ date, service: text('Only calls from or to this service'), limit }),
  row: z.object({
    caller: z.string(),
    callee: z.string(),
    connectionType: described(
      z.string(),
      'Empty (HTTP, RPC), messaging_system, database or virtual_node',
    ),
    virtualSide: described(z.string(), 'The side without spans of its own, if any'),
    calls: z.int(),
    errors: z.int(),
    p50Ms: milliseconds,
    p95Ms: milliseconds,
    p99Ms: milliseconds,
    ...provenance,
    sampleShare: described(
      z.number(),
      'Of live rows, the share of traces that were looked at; calls and errors are scaled up by it',
    ),
  }),
  read: (asked) => ({
    sql: `SELECT caller, callee, connection_type AS connectionType, virtual_side AS virtualSide,
        calls, errors, p50_ms AS p50Ms, p95_ms AS p95Ms, p99_ms AS p99Ms,
        layer, run_id AS runId, is_final AS isFinal, watermark, sample_share AS sampleShare
      FROM service_graph_merged ${where([
        'date = {date:Date}',
        'tenant_id = {tenant:String}',
        asked.service !== undefined && '(caller = {service:String} OR callee = {service:String})',
      ])} ORDER BY calls DESC, caller, callee, connectionType, virtualSide LIMIT {rows:UInt32}`,
    parameters: bound({ date: asked.date, service: asked.service, rows: asked.rowsMax }),
  }),
});
