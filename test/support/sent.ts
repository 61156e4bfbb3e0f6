/** Fills the speed tables as the edge does: the transcoder's rows, in RowBinary. */
import { Transcoder } from '../../aggregator-as/host.ts';
import type { Signal } from '../../schemas/archive.ts';
import { insertStatement, type SpeedTable } from '../../schemas/tables.ts';
import { loadTranscoder } from '../aggregator-as/module.ts';
import type { Delivery } from './delivered.ts';

/** Inserts the requests' rows, one insert for each table. `url` is ClickHouse's. */
export async function insertSent(
  url: string,
  signal: Signal,
  sent: readonly Pick<Delivery, 'request' | 'tenantId' | 'receivedMs'>[],
): Promise<void> {
  const transcoder = new Transcoder(await loadTranscoder());
  const receipt = { pastMaxMs: 400 * 86_400_000, futureMaxMs: 86_400_000 };
  const rows = new Map<SpeedTable, Buffer[]>();
  for (const { request, tenantId, receivedMs } of sent) {
    const from = { ...receipt, tenantId, receivedMs };
    for (const { table, rows: bytes } of transcoder.toRowBinary(signal, request, from).tables) {
      rows.set(table, [...(rows.get(table) ?? []), Buffer.from(bytes)]);
    }
  }
  for (const [table, parts] of rows) {
    const sql = encodeURIComponent(insertStatement(table));
    const body = Buffer.concat(parts);
    const answer = await fetch(`${url}/?query=${sql}`, { method: 'POST', body });
    if (!answer.ok) throw new Error(await answer.text());
  }
}
