import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { SpanKernel } from '../../../aggregator-as/spankernel.ts';
import { namesPage } from '../../../aggregator-as/spanmemory.ts';
import { toMs } from '../../../batch/merge/quantile.ts';
import { connectionOf, edgeKey, limitEdges, overflowNode } from '../../../batch/traces/edges.ts';
import { encodeGroups } from '../../../batch/traces/encode.ts';
import { encodeGraph, graphWords } from '../../../batch/traces/graph.ts';
import { mergeGraph } from '../../../batch/traces/graphtable.ts';
import type { GroupStats } from '../../../batch/traces/merge.ts';
import {
  computeGraph,
  graphSections,
  randomSpans,
  referenceGraph,
  type GraphEdge,
  type GraphOptions,
  type GraphSpan,
} from '../../support/graph.ts';
import { joinSections } from '../../../schemas/partials/section.ts';
import { seededRandom } from '../../support/random.ts';

const url = new URL('../../../aggregator-as/build/aggregate.wasm', import.meta.url);
const module = await WebAssembly.compile(await readFile(url));

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
    for (let seed = 1; seed <= 30; seed += 1) {
      const random = seededRandom(seed);
      const spans = randomSpans(1 + Math.floor(random() * 400), random);
      const groups = await computeGraph(module, spans, { files: 3, rowGroupRows: 37 });
      expect(computed(groups), `seed ${seed}`).toEqual(expected(referenceGraph(spans)));
    }
  });

  it('gives the same bits for 1, 7 and 25 shards, with or without a limit of edges', async () => {
    for (let seed = 100; seed < 102; seed += 1) {
      const spans = randomSpans(1500, seededRandom(seed));
      for (const edgesMax of [1_000_000, 20, 1]) {
        const one = await computeGraph(module, spans, { edgesMax });
        for (const shards of [7, 25]) {
          const groups = await computeGraph(module, spans, { shards, edgesMax });
          expect(groups, `seed ${seed}, ${shards} shards, ${edgesMax} edges`).toEqual(one);
        }
      }
    }
  });
});

/** A span of a chain or a fan, with what the case says of it. */
function span(id: number, more: Partial<GraphSpan>): GraphSpan {
  return {
    tenant: 'acme',
    service: 'a',
    traceId: 1n,
    spanId: BigInt(id),
    parentId: 0n,
    kind: 1,
    isError: false,
    durationNs: BigInt(id) * 1_000_000n,
    peerKind: '',
    peer: '',
    links: [],
    ingestedMs: 0n,
    partition: 0,
    offset: 0n,
    itemIndex: id,
    ...more,
  };
}

const [internal, server, client, producer, consumer] = [1, 2, 3, 4, 5];

const to = (...ids: [traceId: bigint, spanId: bigint][]) =>
  ids.map(([traceId, spanId]) => ({ traceId, spanId }));

/** Distinct ids of up to a million rows, in no order. */
const id = (row: number) => BigInt(((row * 7_919) % 1_000_003) + 1);

/** Edges as `caller → callee type virtual: calls/errors`. */
async function edgesOf(spans: readonly GraphSpan[], options?: GraphOptions): Promise<string[]> {
  const groups = await computeGraph(module, spans, options);
  return groups.map((group) => {
    const { type, virtual } = connectionOf(group);
    const ends = `${group.serviceName} → ${group.operationName}`;
    return `${ends} ${type} ${virtual}: ${group.totalSpans}/${group.errorCount}`;
  });
}

describe('the service graph', () => {
  it('has a call between services, a pair within one, and the root from outside', async () => {
    const spans = [
      span(1, { kind: server }),
      span(2, { kind: client, parentId: 1n, isError: true }),
      span(3, { kind: server, parentId: 2n, service: 'b' }),
      span(4, { kind: internal, parentId: 3n, service: 'c' }),
      span(5, { kind: client, parentId: 3n, service: 'b' }),
      span(6, { kind: server, parentId: 5n, service: 'b' }),
      span(7, { kind: internal, parentId: 6n, service: 'b' }),
    ];
    expect(await edgesOf(spans)).toEqual([
      'a → b  : 1/1',
      'b → b  : 1/0',
      'b → c  : 1/0',
      'user → a virtual_node caller: 1/0',
    ]);
  });

  it("joins Zipkin's two sides of one id, whose children are the server's", async () => {
    const spans = [
      span(2, { kind: client, parentId: 1n }),
      span(2, { kind: server, parentId: 1n, service: 'b', itemIndex: 3 }),
      span(4, { kind: client, parentId: 2n, service: 'b' }),
      span(4, { kind: server, parentId: 2n, service: 'c', itemIndex: 5 }),
      span(1, { kind: server }),
    ];
    expect(await edgesOf(spans)).toEqual([
      'a → b  : 1/0',
      'b → c  : 1/0',
      'user → a virtual_node caller: 1/0',
    ]);
  });

  it('gives what is not instrumented a node, once for a call through several clients', async () => {
    const spans = [
      span(1, { kind: client, parentId: 9n, peerKind: 'database', peer: 'postgresql/shop' }),
      span(2, { kind: client, parentId: 9n, peerKind: 'virtual_node', peer: 'outer' }),
      span(3, { kind: client, parentId: 2n, peerKind: 'virtual_node', peer: 'inner' }),
      span(4, { kind: client, parentId: 9n }),
      span(5, { kind: server, parentId: 9n }),
    ];
    expect(await edgesOf(spans)).toEqual([
      'a → inner virtual_node callee: 1/0',
      'a → postgresql/shop database callee: 1/0',
    ]);
  });

  it('follows messages within traces and into other ones, whatever the shards', async () => {
    const sent = { kind: producer, peerKind: 'messaging_system', peer: 'kafka/q' } as const;
    const taken = { ...sent, kind: consumer, service: 'b' };
    const spans = [
      span(1, sent),
      span(2, { ...taken, parentId: 1n, links: to([1n, 1n]) }),
      span(3, { ...sent, traceId: 2n }),
      span(4, { ...sent, traceId: 9n, isError: true }),
      span(5, { ...taken, traceId: 5n, links: to([2n, 3n], [9n, 4n], [7n, 7n]) }),
      span(6, { ...sent, traceId: 4n, service: 'c' }),
      span(7, { ...taken, traceId: 3n, service: 'd', links: to([7n, 7n]) }),
      span(8, { ...taken, traceId: 3n, service: 'e', tenant: 'globex', links: to([2n, 3n]) }),
      span(9, { kind: consumer, traceId: 8n, service: 'f' }),
    ];
    const wanted = [
      'a → b messaging_system : 3/1',
      'c → kafka/q messaging_system callee: 1/0',
      'kafka/q → d messaging_system caller: 1/0',
      'user → f virtual_node caller: 1/0',
      'kafka/q → e messaging_system caller: 1/0',
    ];
    for (const shards of [1, 3, 8]) expect(await edgesOf(spans, { shards })).toEqual(wanted);
  });

  it('keeps the copy of a span that was received first', async () => {
    const call = { kind: server, parentId: 1n, service: 'b' };
    const spans = [
      span(1, { kind: client, offset: 7n }),
      span(2, { ...call, offset: 3n, durationNs: 5_000_000n }),
      span(2, { ...call, offset: 2n, service: 'c', durationNs: 7_000_000n }),
      span(2, { ...call, offset: 4n, isError: true }),
    ];
    const [group, ...more] = await computeGraph(module, spans);
    expect(more).toEqual([]);
    expect(group).toMatchObject({ operationName: 'c', totalSpans: 1, minMs: 7, errorCount: 0 });
  });

  it('takes cycles, spans that are their own parents, and parents that are missing', async () => {
    const spans = [
      span(1, { kind: server, parentId: 1n }),
      span(2, { kind: server, parentId: 3n }),
      span(3, { kind: server, parentId: 2n, service: 'b' }),
      span(4, { kind: server, parentId: 99n }),
    ];
    expect(await edgesOf(spans)).toEqual(['a → b  : 1/0', 'b → a  : 1/0']);
  });

  it('takes a trace of a million spans and a hundred thousand peers in bounded memory', async () => {
    const [calls, peers, services] = [900_000, 100_000, 40];
    const rows = calls + peers;
    // A chain of servers, their ids in no order, then clients that each name another host.
    const isPeer = (row: number) => row >= calls;
    const kernel = new SpanKernel(module, {
      memoryBytesMax: 192 * 1024 * 1024,
      graph: graphWords,
    });
    const { graph } = kernel;
    if (graph === undefined) throw new Error('Bug: there is no graph');
    const parentOf = (row: number) => (row === 0 || isPeer(row) ? 0n : id(row - 1));
    const dictionaries = [
      ['acme'],
      Array.from({ length: services }, (_, index) => `s${index}`),
      ['call'],
      ['Server', 'Client'],
      ['Unset'],
      Array.from({ length: peers }, (_, index) => `host-${index}`),
      ['', 'virtual_node'],
    ];
    const whole = { fromHigh: 0n, fromLow: 0n, toHigh: 0n, toLow: 0n };
    const names = (column: number, texts: readonly string[]) =>
      kernel.names(column, namesPage(texts), texts.length);
    const put = (at: number, numbers: Uint32Array | BigUint64Array) =>
      kernel.put(at, new Uint8Array(numbers.buffer));
    const feed = (own: readonly number[]) => {
      const codes = (column: number, of: (row: number) => number) =>
        put(kernel.codesAt(column), Uint32Array.from(own, of));
      const block = kernel.open(own.length, whole, (bytes) => bytes.fill(7));
      put(block.spanIds, BigUint64Array.from(own, id));
      kernel.order(block);
      put(block.durations, BigUint64Array.from(own, BigInt));
      put(block.parents, BigUint64Array.from(own, parentOf));
      graph.orderParents(block.at);
      for (const [column, texts] of dictionaries.entries()) names(column, texts);
      for (const column of [0, 2, 4]) codes(column, () => 0);
      codes(1, (row) => row % services);
      codes(3, (row) => Number(isPeer(row)));
      codes(5, (row) => (isPeer(row) ? row - calls : 0));
      codes(6, (row) => Number(isPeer(row)));
      kernel.feed(0, block, 0);
    };
    kernel.begin(1);
    for (let from = 0; from < rows; from += 50_000) {
      feed(Array.from({ length: 50_000 }, (_, row) => from + row));
      expect(kernel.merge()).toEqual({ type: 'block', run: 0 });
    }
    expect(kernel.merge().type).toBe('nothing');
    const partial = joinSections([encodeGroups(kernel), ...encodeGraph(kernel, graph, 1000)]);
    const groups = await mergeGraph([graphSections(partial)], 1000);
    const between = groups.filter((group) => connectionOf(group).virtual === '');
    expect(between.map(({ totalSpans }) => totalSpans).toSorted((x, y) => x - y)).toEqual(
      Array.from({ length: services }, (_, index) => calls / services - (index === 0 ? 1 : 0)),
    );
    const total = groups.reduce((sum, { totalSpans }) => sum + totalSpans, 0);
    expect(total).toBe(rows);
    const overflow = groups.filter(({ operationName }) => operationName === overflowNode);
    expect(overflow).toHaveLength(services);
    // 40 edges between services, one from `user`, 959 to hosts, and each service's overflow.
    expect(groups).toHaveLength(1000 + services);
  });
});

describe('limitEdges()', () => {
  it('keeps edges between services first, and joins the others by their virtual side', () => {
    const keys = [
      ...Array.from({ length: 50 }, (_, index) => edgeKey('acme', 'a', `10.0.0.${index}`, 4)),
      ...Array.from({ length: 50 }, (_, index) => edgeKey('acme', `queue-${index}`, 'a', 5)),
      edgeKey('acme', 'a', 'b', 0),
      edgeKey('globex', 'a', '10.0.0.1', 4),
    ];
    const rename = limitEdges(keys, 11);
    const renamed = keys.map((key) => rename(key));
    const kept = renamed.filter((key, index) => key === keys[index]);
    expect(kept).toHaveLength(12);
    expect(kept).toContainEqual(edgeKey('acme', 'a', 'b', 0));
    expect(
      new Set(renamed.filter((key) => !kept.includes(key)).map((key) => JSON.stringify(key))),
    ).toEqual(
      new Set([
        JSON.stringify(edgeKey('acme', 'a', overflowNode, 4)),
        JSON.stringify(edgeKey('acme', overflowNode, 'a', 5)),
      ]),
    );
  });
});
