/**
 * The service graph once more, plainly, from spans as objects: the oracle of the graph's kernel and its
 * merge. It knows all spans at once, and neither shards nor traces' order. Also makes spans of chance.
 */
import type { GraphColumns } from '../../aggregator-as/graphkernel.ts';

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

/** Numbers for texts, in the order in which they come. */
export class Codes {
  readonly #codes: Map<string, number>;

  constructor(...texts: string[]) {
    this.#codes = new Map(texts.map((text, code) => [text, code]));
  }

  get values(): string[] {
    return [...this.#codes.keys()];
  }

  code(text: string): number {
    const code = this.#codes.get(text) ?? this.#codes.size;
    this.#codes.set(text, code);
    return code;
  }
}

const peerKindNumbers = ['', 'database', 'messaging_system', 'virtual_node'];

/** The spans as one batch of columns. */
export function graphColumns(
  rows: readonly GraphSpan[],
  tenants: Codes,
  nodes: Codes,
): GraphColumns {
  const longs = (of: (row: GraphSpan) => bigint) => bigEndian(rows.map(of), 8);
  const links = rows.flatMap((row) => row.links);
  let end = 0;
  return {
    rows: rows.length,
    traceIds: bigEndian(
      rows.map((row) => row.traceId),
      16,
    ),
    spanIds: longs((row) => row.spanId),
    parentIds: longs((row) => row.parentId),
    durations: BigUint64Array.from(rows, (row) => row.durationNs),
    ingestedMs: BigInt64Array.from(rows, (row) => row.ingestedMs),
    partitions: Int32Array.from(rows, (row) => row.partition),
    offsets: BigInt64Array.from(rows, (row) => row.offset),
    itemIndexes: Uint32Array.from(rows, (row) => row.itemIndex),
    tenants: Uint32Array.from(rows, (row) => tenants.code(row.tenant)),
    services: Uint32Array.from(rows, (row) => nodes.code(row.service)),
    peers: Uint32Array.from(rows, (row) => nodes.code(row.peer)),
    kinds: Uint8Array.from(rows, (row) => row.kind),
    errors: Uint8Array.from(rows, (row) => Number(row.isError)),
    peerKinds: Uint8Array.from(rows, (row) => peerKindNumbers.indexOf(row.peerKind)),
    linkOffsets: Int32Array.from([0, ...rows.map((row) => (end += row.links.length))]),
    linkTraceIds: bigEndian(
      links.map((link) => link.traceId),
      16,
    ),
    linkSpanIds: bigEndian(
      links.map((link) => link.spanId),
      8,
    ),
  };
}

function bigEndian(ids: readonly bigint[], width: number): Uint8Array {
  const bytes = new Uint8Array(ids.length * width);
  for (const [index, id] of ids.entries()) {
    const hex = id.toString(16).padStart(2 * width, '0');
    bytes.set(Buffer.from(hex, 'hex'), index * width);
  }
  return bytes;
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
