/** What ClickHouse's own tables take on disk for the same requests, merged to single parts. */
import { readFile } from 'node:fs/promises';
import { Transcoder } from '../../aggregator-as/host.ts';
import type { Signal } from '../../schemas/archive.ts';
import { insertStatement, tablesOf } from '../../schemas/tables.ts';
import type { SpeedTable } from '../../schemas/tables.ts';
import { startStack } from '../../test/support/stack.ts';
import { itemsPerRequest, requestsOf } from './load.ts';

const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
const requests = 400;
const requestsPerInsert = 100;

/** Bytes on disk for each item in the tables of the speed layer, as the migrations make them. */
export async function clickhouseBytes(signal: Signal, nowMs: number): Promise<number> {
  const transcoder = new Transcoder(await WebAssembly.compile(await readFile(wasm)));
  const stack = await startStack();
  const send = async (sql: string, body?: Uint8Array): Promise<string> => {
    const url = `${stack.settings.CLICKHOUSE_URL}/?query=${encodeURIComponent(sql)}`;
    const answer = await fetch(url, { method: 'POST', ...(body && { body: Buffer.from(body) }) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`ClickHouse answered ${answer.status}: ${text}`);
    return text;
  };
  try {
    const requestAt = requestsOf(signal, requests, nowMs);
    const receipt = { tenantId: 'default', receivedMs: nowMs, pastMaxMs: 1e9, futureMaxMs: 1e9 };
    for (let first = 0; first < requests; first += requestsPerInsert) {
      const rows = new Map<SpeedTable, Buffer[]>();
      for (let index = first; index < first + requestsPerInsert; index += 1) {
        for (const each of transcoder.toRowBinary(signal, requestAt(index), receipt).tables) {
          rows.set(each.table, [...(rows.get(each.table) ?? []), Buffer.from(each.rows)]);
        }
      }
      for (const [table, parts] of rows) {
        await send(insertStatement(table), Buffer.concat(parts));
      }
    }
    const names = tablesOf[signal];
    for (const table of names) await send(`OPTIMIZE TABLE ${table} FINAL`);
    const list = names.map((name) => `'${name}'`).join(', ');
    const bytes = await send(
      `SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table IN (${list}) FORMAT TSV`,
    );
    return Number(bytes) / (requests * itemsPerRequest);
  } finally {
    await stack.close();
  }
}
