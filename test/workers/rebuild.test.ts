/**
 * From requests to archive files and back, on random requests that use every field of the protos:
 * protobufjs must read of the rebuilt requests what it reads of those that were sent.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../aggregator-as/host.ts';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { ArchiveFile } from '../../workers/clients/parquet/parquet.ts';
import { encodeParquet } from '../../workers/parquet.ts';
import { Rebuilder } from '../../workers/rebuild.ts';
import { Generator } from '../aggregator-as/generate.ts';
import { LogGenerator } from '../aggregator-as/logmaker.ts';
import { expectLogs } from '../aggregator-as/logs.ts';
import { loadTranscoder, provenance } from '../aggregator-as/module.ts';
import { PointGenerator } from '../aggregator-as/pointmaker.ts';
import { expectPoints } from '../aggregator-as/points.ts';
import { expectSpans } from '../aggregator-as/reference.ts';
import { linesOf } from '../support/items.ts';
import { seededRandom } from '../support/random.ts';

let module: WebAssembly.Module;

beforeAll(async () => {
  module = await loadTranscoder();
});

const generators: Record<Signal, (random: () => number) => { request(): Uint8Array }> = {
  traces: (random) => new Generator(random),
  logs: (random) => new LogGenerator(random),
  metrics: (random) => new PointGenerator(random),
};

/** Places in the request of the items that are not rejected, by an independent judge. */
function accepted(signal: Signal, request: Uint8Array): number[] {
  if (signal === 'traces') return indexes(expectSpans(request, provenance).spans);
  if (signal === 'logs') return indexes(expectLogs(request, provenance).logs);
  return indexes(expectPoints(request, provenance).points);
}

function indexes(items: readonly { itemIndex: number }[]): number[] {
  return items.map(({ itemIndex }) => itemIndex);
}

function sorted(lines: readonly string[]): string[] {
  return lines.toSorted((left, right) => (left < right ? -1 : Number(left > right)));
}

/** What is rebuilt out of the files of these requests, one request for each row group. */
async function rebuilt(signal: Signal, requests: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const columns = new ItemColumns(module, signal);
  for (const [index, request] of requests.entries()) {
    columns.add(request, { ...provenance, topic: topics[signal], offset: BigInt(index) });
  }
  const results: Uint8Array[] = [];
  for (const batch of columns.hours()) {
    const { bytes, rowGroups } = encodeParquet(batch);
    const read = (_: string, from: number, to: number) => Promise.resolve(bytes.slice(from, to));
    const file = await ArchiveFile.open(read, 'file', bytes.length);
    for (const rows of await file.read([...rowGroups.keys()])) {
      const rebuilder = new Rebuilder(signal, rows);
      const all = Array.from({ length: rows.rows }, (_, row) => row);
      results.push(rebuilder.request(rebuilder.grouped(all)));
    }
    file.close();
  }
  return results;
}

describe('Rebuilder', () => {
  it.each(['traces', 'logs', 'metrics'] as const)(
    'request() says of %s what was sent, every field of it',
    async (signal) => {
      const seed = 20_261_123;
      console.info(`seed ${seed}`);
      const generator = generators[signal](seededRandom(seed));
      const requests = Array.from({ length: 300 }, () => generator.request());
      const sent = requests.flatMap((request) => {
        const lines = linesOf(signal, request);
        return accepted(signal, request).map((index) => lines[index] ?? '');
      });
      const got = (await rebuilt(signal, requests)).flatMap((request) => linesOf(signal, request));
      expect(sent.length).toBeGreaterThan(1000);
      expect(sorted(got)).toEqual(sorted(sent));
    },
  );
});
