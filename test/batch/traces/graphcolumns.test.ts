import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readShard } from '../../../batch/read.ts';
import { peerKinds } from '../../../batch/traces/edges.ts';
import { graphColumns, GraphMap } from '../../../batch/traces/graphcolumns.ts';
import { GraphWork } from '../../../batch/traces/graphwork.ts';
import { spanPreamble } from '../../../schemas/partial.ts';
import { idEnd } from '../../../schemas/shard.ts';
import { peerOf } from '../../support/peer.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile, type SpanFile } from '../../support/spans.ts';

const columns = { id: 'TraceId', others: graphColumns };

function hex(ids: Uint8Array, row: number, width: number): string {
  return Buffer.from(ids.subarray(row * width, (row + 1) * width)).toString('hex');
}

/** What the kernel would be given of the file's rows, with names in place of codes. */
async function rowsOf({ bytes, rowGroups }: SpanFile) {
  const map = new GraphMap();
  const rowGroupIndexes = rowGroups.map((_, index) => index);
  const file = { key: 'f', bytes: bytes.length, hourMs: 0, rowGroups: rowGroupIndexes };
  const rows: unknown[] = [];
  await readShard(
    async (_, start, end) => bytes.slice(start, end),
    { idFrom: 0n, idTo: idEnd, files: [file] },
    columns,
    (slice) => {
      const given = map.columns(slice);
      const [nodes, tenants] = [map.nodes.values(), map.tenants.values()];
      for (let row = 0; row < given.rows; row += 1) {
        const links: unknown[] = [];
        const end = given.linkOffsets[row + 1] ?? 0;
        for (let link = given.linkOffsets[row] ?? 0; link < end; link += 1) {
          const traceId = hex(given.linkTraceIds, link, 16);
          links.push({ traceId, spanId: hex(given.linkSpanIds, link, 8) });
        }
        rows.push({
          traceId: hex(given.traceIds, row, 16),
          spanId: hex(given.spanIds, row, 8),
          parent: hex(given.parentIds, row, 8),
          tenant: tenants[given.tenants[row] ?? 0],
          service: nodes[given.services[row] ?? 0],
          kind: given.kinds[row],
          peerKind: peerKinds[given.peerKinds[row] ?? 0],
          peer: given.peerKinds[row] === 0 ? '' : nodes[given.peers[row] ?? 0],
          links,
        });
      }
    },
  );
  return rows;
}

const kinds = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'];

describe('GraphMap', () => {
  it.each([
    ['its own', '2', []],
    ['version 1, which has no peers,', '1', ['PeerKind', 'PeerName']],
  ])('gives the rows of a file of %s as they were written', async (_, version, without) => {
    const spans = randomSpans(seededRandom(8), 700);
    const file = writeSpanFile(spans, 100, without, 'sorted', version);
    expect(await rowsOf(file)).toEqual(
      file.rows.map((row) => {
        const peer = peerOf(row.kind, row.attributes ?? {});
        return {
          traceId: row.traceId,
          spanId: row.spanId,
          parent: row.parentSpanId ?? '0'.repeat(16),
          tenant: row.tenant,
          service: row.service,
          kind: kinds.indexOf(row.kind),
          peerKind: peer.kind,
          peer: peer.name,
          links: row.links,
        };
      }),
    );
  });
});

describe('GraphWork', () => {
  it('gives the same partial again, and of the same rows in other files', async () => {
    const url = new URL('../../../aggregator-as/build/aggregate.wasm', import.meta.url);
    const kernel = await WebAssembly.compile(await readFile(url));
    const options = { kernel, memoryBytes: 2 ** 25, hashSeed: 3n, edgesMax: 50 };
    const work = new GraphWork(options);
    const { bytes, rowGroups } = writeSpanFile(randomSpans(seededRandom(9), 900), 250);
    const rowGroupIndexes = rowGroups.map((_, index) => index);
    const file = { key: 'f', bytes: bytes.length, hourMs: 0, rowGroups: rowGroupIndexes };
    const read = async (_: string, start: number, end: number) => bytes.slice(start, end);
    const compute = async (parts: readonly (readonly number[])[]) => {
      work.reset();
      const files = parts.map((part) => ({ ...file, rowGroups: part }));
      const shard = { idFrom: 0n, idTo: idEnd, files };
      await readShard(read, shard, { id: 'TraceId', others: work.columns }, (rows) => {
        work.add(rows);
      });
      return work.finish();
    };
    const once = await compute([rowGroupIndexes]);
    expect(await compute([rowGroupIndexes])).toEqual(once);
    const length = spanPreamble.byteLength(once);
    const parts = await compute(rowGroupIndexes.toReversed().map((index) => [index]));
    expect(parts.subarray(0, length)).toEqual(once.subarray(0, length));
    expect(parts).toHaveLength(once.length);
  });
});
