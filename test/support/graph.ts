/**
 * The service graph once more, plainly, from spans as objects: the oracle of the graph's kernel and its
 * merge. It knows all spans at once, and neither shards nor traces' order. Also makes spans of chance, and
 * what the batch makes of them.
 */
import { mergeGraph } from '../../batch/traces/graphtable.ts';
import type { GroupStats } from '../../batch/traces/merge.ts';
import { memoryReader } from '../../batch/traces/sections.ts';
import { spanPreamble } from '../../schemas/partials/spans.ts';
import { idEnd } from '../../schemas/shard.ts';
import { mergedPartial } from './merged.ts';
import { writeSpanFile, type SpanRow } from './spans.ts';

export interface GraphSpan {
  readonly tenant: string;
  readonly service: string;
  readonly traceId: bigint;
  readonly spanId: bigint;
  /** 0n for none. */
  readonly parentId: bigint;
  /** OTLP's number. */
  readonly kind: number;
  readonly isError: boolean;
  readonly durationNs: bigint;
  readonly peerKind: '' | 'database' | 'messaging_system' | 'virtual_node';
  readonly peer: string;
  readonly links: readonly { readonly traceId: bigint; readonly spanId: bigint }[];
  readonly ingestedMs: bigint;
  readonly partition: number;
  readonly offset: bigint;
  readonly itemIndex: number;
}

export interface GraphEdge {
  readonly tenant: string;
  readonly caller: string;
  readonly callee: string;
  readonly connection: string;
  readonly virtual: string;
  errors: number;
  readonly durations: bigint[];
}

const [server, client, producer, consumer] = [2, 3, 4, 5];
const isOut = ({ kind }: GraphSpan) => kind === client || kind === producer;
const isIn = ({ kind }: GraphSpan) => kind === server || kind === consumer;

/** The edges, by tenant, caller, callee and connection. */
export function referenceGraph(rows: readonly GraphSpan[]): Map<string, GraphEdge> {
  const edges = new Map<string, GraphEdge>();
  const spans = dedup(rows);
  const byId = Map.groupBy(spans, (span) => nameOf(span.tenant, span.traceId, span.spanId));
  const [called, answered] = [new Set<GraphSpan>(), new Set<GraphSpan>()];
  const nested = new Set<GraphSpan>();
  const add = (
    span: GraphSpan,
    [caller, callee]: [string, string],
    [connection, virtual]: [string, string],
    failed: boolean,
  ) => {
    const { tenant } = span;
    const key = JSON.stringify([tenant, caller, callee, connection, virtual]);
    const made = { tenant, caller, callee, connection, virtual, errors: 0, durations: [] };
    const edge: GraphEdge = edges.get(key) ?? made;
    edges.set(key, edge);
    edge.errors += Number(failed);
    edge.durations.push(span.durationNs);
  };
  const connect = (from: GraphSpan, to: GraphSpan, connection: string) => {
    called.add(from);
    answered.add(to);
    const failed = to.isError || (isOut(from) && from.isError);
    add(to, [from.service, to.service], [connection, ''], failed);
  };
  const callers = new Map(spans.map((span) => [span, callerOf(span, byId)]));
  for (const [span, caller] of callers) {
    if (caller === undefined) continue;
    const isPair = isOut(caller) && isIn(span);
    if (isPair || caller.service !== span.service) {
      const isMessage = caller.kind === producer || span.kind === consumer;
      connect(caller, span, isMessage ? 'messaging_system' : '');
    } else if (isOut(caller) && isOut(span)) {
      nested.add(caller);
    }
  }
  for (const span of spans) {
    if (span.kind !== consumer) continue;
    for (const { traceId, spanId } of span.links) {
      const sender = (byId.get(nameOf(span.tenant, traceId, spanId)) ?? []).find(
        ({ kind }) => kind === producer,
      );
      if (sender === undefined || sender === callers.get(span)) continue;
      connect(sender, span, 'messaging_system');
    }
  }
  for (const span of spans) {
    const { service, peer, peerKind, isError } = span;
    if (isOut(span)) {
      if (peerKind === '' || called.has(span) || nested.has(span)) continue;
      add(span, [service, peer], [peerKind, 'callee'], isError);
    } else if (isIn(span) && !answered.has(span)) {
      const isRoot = span.parentId === 0n;
      if (span.kind === server && isRoot) {
        add(span, ['user', service], ['virtual_node', 'caller'], isError);
      }
      if (span.kind === consumer && (isRoot || span.links.length > 0)) {
        const type = peerKind === 'messaging_system' ? peerKind : 'virtual_node';
        add(span, [peerKind === '' ? 'user' : peer, service], [type, 'caller'], isError);
      }
    }
  }
  for (const edge of edges.values()) edge.durations.sort((a, b) => (a < b ? -1 : Number(a > b)));
  return edges;
}

function nameOf(tenant: string, traceId: bigint, spanId: bigint): string {
  return `${tenant} ${traceId} ${spanId}`;
}

function dedup(rows: readonly GraphSpan[]): GraphSpan[] {
  const copies = Map.groupBy(rows, (row) =>
    [nameOf(row.tenant, row.traceId, row.spanId), row.kind].join(' '),
  );
  return Array.from(copies.values(), (own) => own.toSorted(byArrival)[0]).filter(
    (span) => span !== undefined,
  );
}

function byArrival(a: GraphSpan, b: GraphSpan): number {
  return (
    Number(a.ingestedMs - b.ingestedMs) ||
    a.partition - b.partition ||
    Number(a.offset - b.offset) ||
    a.itemIndex - b.itemIndex
  );
}

/** In the order in which spans of one id are taken for a parent. */
const parentKinds = [2, 5, 1, 0, 6, 3, 4];

function callerOf(
  span: GraphSpan,
  byId: ReadonlyMap<string, readonly GraphSpan[]>,
): GraphSpan | undefined {
  const spansOf = (id: bigint) =>
    (byId.get(nameOf(span.tenant, span.traceId, id)) ?? [])
      .filter((other) => other !== span)
      .toSorted((a, b) => parentKinds.indexOf(a.kind) - parentKinds.indexOf(b.kind));
  const near = isIn(span) ? spansOf(span.spanId).find(isOut) : undefined;
  if (near !== undefined) return near;
  if (span.parentId === 0n || span.parentId === span.spanId) return undefined;
  return spansOf(span.parentId)[0];
}

const kindNames = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer', ''];

/** What makes a peer of that kind, of whatever name. */
const peerAttributes = {
  '': {},
  database: { 'db.system.name': 'postgresql' },
  messaging_system: { 'messaging.system': 'kafka' },
  virtual_node: {},
};

/** The span as a row of a file; what it calls its peer by is in its attributes. */
function rowOf(span: GraphSpan): SpanRow {
  const { tenant, service, peerKind, peer, partition, offset, itemIndex } = span;
  return {
    tenant,
    service,
    traceId: hex(span.traceId, 32),
    spanId: hex(span.spanId, 16),
    ...(span.parentId !== 0n && { parentSpanId: hex(span.parentId, 16) }),
    kind: kindNames[span.kind] ?? '',
    operation: 'call',
    status: span.isError ? 'Error' : 'Unset',
    timestampNs: 0n,
    durationNs: span.durationNs,
    attributes: { ...peerAttributes[peerKind], ...(peerKind !== '' && { 'peer.service': peer }) },
    links: span.links.map((link) => {
      return { traceId: hex(link.traceId, 32), spanId: hex(link.spanId, 16) };
    }),
    ingestedMs: Number(span.ingestedMs),
    partition,
    offset,
    itemIndex,
  };
}

function hex(id: bigint, digits: number): string {
  return id.toString(16).padStart(digits, '0');
}

export interface GraphOptions {
  readonly shards?: number;
  readonly edgesMax?: number;
  readonly files?: number;
  /** Rows of each row group. */
  readonly rowGroupRows?: number;
}

/** The graph of the spans from files and shards of traces, through kernel, partials and merge. */
export async function computeGraph(
  module: WebAssembly.Module,
  spans: readonly GraphSpan[],
  { shards = 1, edgesMax = 1_000_000, files = 1, rowGroupRows = 50_000 }: GraphOptions = {},
): Promise<GroupStats[]> {
  const parts = Array.from({ length: files }, (_, file) =>
    spans.filter((__, place) => place % files === file).map(rowOf),
  );
  const written = parts
    .filter((rows) => rows.length > 0)
    .map((rows) => writeSpanFile(rows, rowGroupRows));
  const partials: Buffer[] = [];
  for (const range of rangesOf(spans, shards)) {
    const { partial } = await mergedPartial(module, written, { ...range, edgesMax });
    partials.push(partial);
  }
  return mergeGraph(partials.toReversed().map(graphSections), edgesMax);
}

/** The two parts of a shard's graph that follow its groups. */
export function graphSections(partial: Uint8Array) {
  const edges = partial.subarray(spanPreamble.byteLength(partial));
  const end = spanPreamble.byteLength(edges);
  return {
    edges: memoryReader(edges.subarray(0, end)),
    messages: memoryReader(edges.subarray(end)),
  };
}

/** So many ranges of trace ids, each of about as many traces. */
function rangesOf(spans: readonly GraphSpan[], count: number) {
  const ids = [...new Set(spans.map(({ traceId }) => traceId))].toSorted((a, b) =>
    a < b ? -1 : 1,
  );
  const starts = Array.from({ length: count }, (_, range) =>
    range === 0 ? 0n : (ids[Math.floor((range * ids.length) / count)] ?? idEnd),
  );
  return starts.map((idFrom, range) => ({ idFrom, idTo: starts[range + 1] ?? idEnd }));
}

/** Spans of chance: few ids, so that there are copies, shared ids, cycles, and parents that are missing. */
export function randomSpans(count: number, random: () => number): GraphSpan[] {
  const whole = (below: number): number => Math.floor(random() * below);
  const pick = <const T>(...values: T[]) => values[whole(values.length)] as T;
  const traces = Math.max(1, Math.ceil(count / 9));
  const traceId = () => {
    const number = BigInt(whole(traces)) + 1n;
    return number << (number % 2n === 0n ? 64n : 1n);
  };
  const spanId = () => BigInt(whole(9) + 1) << BigInt(whole(2) * 56);
  return Array.from({ length: count }, () => {
    const kind = whole(7);
    const peerKind = pick('', 'database', 'messaging_system', 'virtual_node');
    return {
      tenant: pick('acme', 'globex'),
      service: pick('a', 'b', 'c', 'ü'),
      traceId: traceId(),
      spanId: spanId(),
      parentId: random() < 0.2 ? 0n : spanId(),
      kind,
      isError: random() < 0.2,
      durationNs: BigInt(whole(1e9)) << BigInt(whole(3) * 10),
      peerKind: kind > 2 && kind < 6 ? peerKind : '',
      peer: pick('redis', 'kafka/orders', 'a', `10.0.0.${whole(4)}`),
      links: Array.from({ length: random() < 0.4 ? whole(4) : 0 }, () => ({
        traceId: traceId(),
        spanId: spanId(),
      })),
      ingestedMs: BigInt(whole(5)),
      partition: whole(3) - 1,
      offset: BigInt(whole(4)),
      itemIndex: whole(1e6),
    };
  });
}
