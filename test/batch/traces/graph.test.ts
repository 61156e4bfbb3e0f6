import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { GraphKernel } from '../../../aggregator-as/graphkernel.ts';
import { toMs } from '../../../batch/quantile.ts';
import { connectionOf, limitEdges, overflowNode } from '../../../batch/traces/edges.ts';
import { encodeGraph } from '../../../batch/traces/graph.ts';
import { mergeGraph } from '../../../batch/traces/graphtable.ts';
import type { GroupStats } from '../../../batch/traces/merge.ts';
import { memoryReader } from '../../../batch/traces/sections.ts';
import { spanPreamble } from '../../../schemas/partial.ts';
import {
  Codes,
  graphColumns,
  randomSpans,
  referenceGraph,
  type GraphEdge,
  type GraphSpan,
} from '../../support/graph.ts';
import { seededRandom } from '../../support/random.ts';

const url = new URL('../../../aggregator-as/build/aggregate.wasm', import.meta.url);
const module = await WebAssembly.compile(await readFile(url));

interface Options {
  readonly shards?: number;
  readonly edgesMax?: number;
  /** Rows of each call of `add`. */
  readonly batch?: number;
}

/** The graph of the spans from shards of traces, through kernel, partials and merge. */
async function computeGraph(spans: readonly GraphSpan[], options: Options = {}) {
  const { shards = 1, edgesMax = 1_000_000, batch = 1e6 } = options;
  const kernel = new GraphKernel(module, { memoryBytesMax: 2 ** 28, hashSeed: 7n });
  const ranges = rangesOf(spans, shards);
  const partials = Array.from({ length: shards }, (_, shard) => {
    kernel.reset();
    const [tenants, nodes] = [new Codes(), new Codes('user')];
    const own = spans.filter(({ traceId }) => ranges.get(traceId) === shard);
    for (let from = 0; from < own.length; from += batch) {
      kernel.add(graphColumns(own.slice(from, from + batch), tenants, nodes));
    }
    return encodeGraph(kernel, { tenants: tenants.values, nodes: nodes.values }, edgesMax);
  });
  const sections = partials.toReversed().map((bytes) => {
    const end = spanPreamble.byteLength(bytes);
    return {
      edges: memoryReader(bytes.subarray(0, end)),
      messages: memoryReader(bytes.subarray(end)),
    };
  });
  return mergeGraph(sections, edgesMax);
}

/** Which of so many ranges of trace ids each of the ids is in. */
function rangesOf(spans: readonly GraphSpan[], count: number): Map<bigint, number> {
  const ids = [...new Set(spans.map(({ traceId }) => traceId))].toSorted((a, b) =>
    a < b ? -1 : 1,
  );
  return new Map(ids.map((id, place) => [id, Math.floor((place * count) / ids.length)]));
}

const keyOf = (group: GroupStats) => {
  const { type, virtual } = connectionOf(group);
  const { tenantId, serviceName, operationName } = group;
  return JSON.stringify([tenantId, serviceName, operationName, type, virtual]);
};

function expected(edges: ReadonlyMap<string, GraphEdge>) {
  return Object.fromEntries(
    [...edges].map(([key, { errors, durations }]) => [
      key,
      { calls: durations.length, errors, ms: [0.5, 0.95, 0.99].map((q) => quantile(durations, q)) },
    ]),
  );
}

function computed(groups: readonly GroupStats[]) {
  return Object.fromEntries(
    groups.map((group) => [
      keyOf(group),
      { calls: group.totalSpans, errors: group.errorCount, ms: group.quantilesMs },
    ]),
  );
}

/** Type 7, from its definition. */
function quantile(sorted: readonly bigint[], q: number): number {
  const at = q * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)] ?? 0n, sorted[Math.ceil(at)] ?? 0n];
  const position = at + 1;
  return toMs(Number(low) + (position - Math.floor(position)) * Number(high - low));
}

describe('mergeGraph()', () => {
  it('is the plain program, of any spans in any order', async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = seededRandom(seed);
      const spans = randomSpans(1 + Math.floor(random() * 400), random);
      const groups = await computeGraph(spans, { batch: 37 });
      expect(computed(groups), `seed ${seed}`).toEqual(expected(referenceGraph(spans)));
    }
  });

  it('gives the same bits for 1, 7 and 50 shards, with or without a limit of edges', async () => {
    for (let seed = 100; seed < 106; seed += 1) {
      const spans = randomSpans(2500, seededRandom(seed));
      for (const edgesMax of [1_000_000, 20, 1]) {
        const one = await computeGraph(spans, { edgesMax });
        for (const shards of [7, 50]) {
          const groups = await computeGraph(spans, { shards, edgesMax });
          expect(groups, `seed ${seed}, ${shards} shards, ${edgesMax} edges`).toEqual(one);
        }
      }
    }
  });
});
