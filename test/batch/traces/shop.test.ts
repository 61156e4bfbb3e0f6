/** The graph of the demo's shop, against what its generator planned: spans of real SDKs in between. */
import { readFile } from 'node:fs/promises';
import { SpanStatusCode } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { expect, it } from 'vitest';
import { connectionOf } from '../../../batch/traces/edges.ts';
import { Emitter } from '../../../dev/traffic/emit.ts';
import { Random } from '../../../dev/traffic/random.ts';
import { journeys } from '../../../dev/traffic/shop.ts';
import { planRequest, type PlannedSpan } from '../../../dev/traffic/trace.ts';
import { computeGraph, type GraphSpan } from '../../support/graph.ts';
import { peerOf } from '../../support/peer.ts';

const url = new URL('../../../aggregator-as/build/aggregate.wasm', import.meta.url);
const module = await WebAssembly.compile(await readFile(url));

/** OTLP's numbers are the SDK's and one more; the archive's names. */
const kindNames = ['Internal', 'Server', 'Client', 'Producer', 'Consumer'];

function graphSpan(span: ReadableSpan, itemIndex: number): GraphSpan {
  const texts = Object.entries(span.attributes).map(([key, value]) => [key, String(value)]);
  const peer = peerOf(kindNames[span.kind] ?? '', Object.fromEntries(texts));
  const { traceId, spanId } = span.spanContext();
  const [seconds, nanoseconds] = span.duration;
  return {
    tenant: 'shop',
    service: String(span.resource.attributes['service.name']),
    traceId: BigInt(`0x${traceId}`),
    spanId: BigInt(`0x${spanId}`),
    parentId: BigInt(`0x${span.parentSpanContext?.spanId ?? '0'}`),
    kind: span.kind + 1,
    isError: span.status.code === SpanStatusCode.ERROR,
    durationNs: BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds),
    peerKind: peer.kind as GraphSpan['peerKind'],
    peer: peer.name,
    links: span.links.map(({ context }) => ({
      traceId: BigInt(`0x${context.traceId}`),
      spanId: BigInt(`0x${context.spanId}`),
    })),
    ingestedMs: 0n,
    partition: 0,
    offset: 0n,
    itemIndex,
  };
}

/** Counts calls by what the plan says: no ids, no attributes but the peers' names. */
class Plan {
  readonly edges = new Map<string, { calls: number; errors: number; longestNs: number }>();

  root(planned: PlannedSpan): void {
    const { service, flavour } = planned.step;
    if (flavour === 'server') this.#add('user', service, 'virtual_node caller', planned);
    this.#walk(planned);
  }

  #walk(planned: PlannedSpan): void {
    const { step, attributes, children, consumed } = planned;
    const peer = (...keys: string[]) => keys.map((key) => String(attributes[key])).join('/');
    const served = children.filter((child) => child.step.flavour === 'server');
    if (step.flavour === 'client' || served.length > 0) {
      for (const child of served) this.#add(step.service, child.step.service, ' ', child, planned);
    } else if (step.flavour === 'external') {
      this.#add(step.service, peer('server.address'), 'virtual_node callee', planned);
    } else if (step.flavour === 'database' || step.flavour === 'cache') {
      const name = peer('db.system.name', 'db.namespace');
      this.#add(step.service, name, 'database callee', planned);
    } else if (step.flavour === 'producer') {
      const name = peer('messaging.system', 'messaging.destination.name');
      if (consumed.length === 0) this.#add(step.service, name, 'messaging_system callee', planned);
      for (const taken of consumed) {
        this.#add(step.service, taken.step.service, 'messaging_system ', taken, planned);
      }
    }
    for (const next of [...children, ...consumed]) this.#walk(next);
  }

  #add(
    caller: string,
    callee: string,
    connection: string,
    timed: PlannedSpan,
    other: PlannedSpan = timed,
  ): void {
    const key = `${caller} → ${callee} ${connection}`;
    const edge = this.edges.get(key) ?? { calls: 0, errors: 0, longestNs: 0 };
    this.edges.set(key, edge);
    edge.calls += 1;
    edge.errors += timed.fault === undefined && other.fault === undefined ? 0 : 1;
    edge.longestNs = Math.max(edge.longestNs, timed.endNs - timed.startNs);
  }
}

it("the demo's shop has the graph that its generator planned, from any number of shards", async () => {
  const random = new Random(20_261_123);
  const spans: GraphSpan[] = [];
  const emitter = new Emitter(random, (_, span) => spans.push(graphSpan(span, spans.length)));
  const plan = new Plan();
  for (let request = 0; request < 400; request += 1) {
    const planned = planRequest(random.pick(journeys).root, random);
    plan.root(planned);
    emitter.emit(planned, Date.UTC(2026, 10, 21, 12));
  }
  expect(plan.edges.size).toBeGreaterThan(20);
  for (const shards of [1, 5]) {
    const groups = await computeGraph(module, spans, { shards, edgesMax: 10_000 });
    const computed = groups.map((group) => {
      const { type, virtual } = connectionOf(group);
      const key = `${group.serviceName} → ${group.operationName} ${type} ${virtual}`;
      const longestNs = Math.round(group.maxMs * 1e6);
      return [key, { calls: group.totalSpans, errors: group.errorCount, longestNs }];
    });
    expect(Object.fromEntries(computed)).toEqual(Object.fromEntries(plan.edges));
  }
});
