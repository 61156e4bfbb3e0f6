/** The resource of the service graph. Only data. */
import * as z from 'zod/mini';
import { bound, date, described, limit, resource } from './resource.ts';

const milliseconds = described(z.nullable(z.number()), 'Milliseconds');

export const graph = resource({
  path: '/graph',
  name: 'graph',
  summary: 'Who called whom on one day that the batch has published, exact, the busiest first',
  query: z.object({ date, limit }),
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
    runId: z.string(),
  }),
  read: (asked) => ({
    sql: `SELECT caller, callee, connection_type AS connectionType, virtual_side AS virtualSide,
        calls, errors, p50_ms AS p50Ms, p95_ms AS p95Ms, p99_ms AS p99Ms, run_id AS runId
      FROM service_graph WHERE date = {date:Date} AND tenant_id = {tenant:String}
      ORDER BY calls DESC, caller, callee, connectionType LIMIT {rows:UInt32}`,
    parameters: bound({ date: asked.date, rows: asked.rowsMax }),
  }),
});
