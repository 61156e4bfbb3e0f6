/**
 * Times our own decoding, sorting and writing as the other writers are timed: nothing beside it, the
 * best of several runs, so that neither a cold start nor the archiver's other threads are in it.
 */
import { readFile } from 'node:fs/promises';
import type { Signal } from '../../schemas/archive.ts';
import { columnWriterPagesMax } from '../../schemas/limits/archive.ts';
import { SharedColumns } from '../../workers/flush/columns.ts';
import { LocalEncoder } from '../../workers/flush/encode.ts';
import { itemsPerRequest, requestsOf } from './load.ts';

const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
const runs = 5;

/** Rows for each second of CPU, from about so many rows of OTLP like the archived ones. */
export async function rowsAlone(signal: Signal, rowsWanted: number): Promise<number> {
  const transcoder = await WebAssembly.compile(await readFile(wasm));
  const bounds = { pagesMax: columnWriterPagesMax };
  const columns = new SharedColumns(transcoder, bounds).columnsOf(signal);
  const nowMs = Date.now();
  const count = Math.ceil(rowsWanted / itemsPerRequest);
  const requestAt = requestsOf(signal, count, nowMs);
  const records = Array.from({ length: count }, (_, index) => ({
    offset: BigInt(index),
    receivedMs: nowMs,
    tenantId: 'default',
    request: requestAt(index),
    name: `r${index}`,
  }));
  const place = { topic: 'bench', partitionNumber: 0, oversized: new Set<string>() };
  const options = { ...place, rowsMax: Infinity, pastMaxMs: 1e9, futureMaxMs: 1e9 };
  let best = 0;
  for (let run = 0; run < runs; run += 1) {
    const before = process.cpuUsage();
    const encoder = new LocalEncoder(columns, () => 0);
    encoder.addNow(records, options);
    let rows = 0;
    for (const file of encoder.filesNow()) rows += file.rows;
    const { user, system } = process.cpuUsage(before);
    if (rows !== count * itemsPerRequest) throw new Error(`Bug: ${rows} rows were written`);
    best = Math.max(best, (rows * 1e6) / (user + system));
    columns.reset();
  }
  return best;
}
