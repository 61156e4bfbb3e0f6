/** Services with too many operations: which are kept, and that all the others are one group, exactly. */
import { describe, expect, it } from 'vitest';
import { mergePartials } from '../../../batch/traces/merge.ts';
import { compareUtf8, OperationLimit } from '../../../batch/traces/operations.ts';
import { mergeLimits } from '../../../batch/merge/ranges.ts';
import { interpolate, mean, quantileRank, toMs } from '../../../batch/merge/quantile.ts';
import { bucketOf } from '../../../schemas/partials/histogram.ts';
import { encodePartial, publishedQuantiles } from '../../../schemas/partials/spans.ts';
import { countingReaders, referencePartial } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';
import type { SpanRow } from '../../support/spans.ts';

const seed = 5;
const operationsMax = 12;

/** Spans of services with few, many and very many operations, most of them with ids in their names. */
function busySpans(random: () => number): SpanRow[] {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  return Array.from({ length: 3000 }, (_, i) => {
    const service = pick(['few', 'many', 'many', 'endless', 'endless']);
    const names = {
      few: () => `GET /${i % operationsMax}`,
      many: () => `GET /${Math.floor(60 * random() ** 3)}`,
      endless: () =>
        pick([`GET /user/${i}`, `GET /user/${i % 50}`, '__overflow__', '\uffee', '\u{1f30a}']),
    };
    const id = (max: number, digits: number) =>
      (1 + Math.floor(random() * max)).toString(16).padStart(digits, '0');
    return {
      traceId: id(600, 32),
      spanId: id(1e9, 16),
      tenant: pick(['acme', 'zebra']),
      service,
      operation: names[service as keyof typeof names](),
      kind: pick(['Server', 'Client', 'Internal']),
      status: random() < 0.1 ? 'Error' : 'Ok',
      timestampNs: 0n,
      durationNs: BigInt(Math.floor(Math.exp(random() * 30))),
      ingestedMs: 1,
      partition: 0,
      offset: BigInt(i),
      itemIndex: 0,
    };
  });
}

/** Shards by trace, as the planner would make them, though not as balanced. */
function shardsOf(spans: readonly SpanRow[], count: number): Uint8Array[] {
  const shards = Array.from({ length: count }, (): SpanRow[] => []);
  for (const span of spans) shards[Number(BigInt(`0x${span.traceId}`) % BigInt(count))]?.push(span);
  return shards.map((own) => referencePartial(own));
}

/** What the guard means, said plainly: spans here have no copies. */
function wanted(spans: readonly SpanRow[]) {
  const services = Map.groupBy(spans, ({ tenant, service }) => `${tenant} ${service}`);
  const folded = new Set<string>();
  const named = [...services.values()].flatMap((own) => {
    const operations = [...Map.groupBy(own, ({ operation }) => operation)];
    const ranked = operations.toSorted(
      ([a, ofA], [b, ofB]) =>
        ofB.length - ofA.length || Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    for (const [name] of ranked.slice(operationsMax)) {
      folded.add(JSON.stringify([own[0]?.tenant, own[0]?.service, name]));
    }
    const kept = new Set(ranked.slice(0, operationsMax).map(([name]) => name));
    return own.map((span) => ({
      span,
      operation: kept.has(span.operation) ? span.operation : '__overflow__',
    }));
  });
  const groups = Map.groupBy(named, ({ span, operation }) =>
    JSON.stringify([span.tenant, span.service, operation, span.kind]),
  );
  const rows = Array.from(groups, ([key, members]) => {
    const durations = members
      .map(({ span }) => span.durationNs)
      .toSorted((a, b) => (a < b ? -1 : Number(a > b)));
    const at = (rank: number) => durations[rank] ?? 0n;
    const count = durations.length;
    return {
      key,
      totalSpans: count,
      errorCount: members.filter(({ span }) => span.status === 'Error').length,
      uniqueTraces: new Set(members.map(({ span }) => `${span.operation} ${span.traceId}`)).size,
      minMs: toMs(Number(at(0))),
      maxMs: toMs(Number(at(count - 1))),
      meanMs: toMs(
        mean(
          durations.reduce((sum, one) => sum + one, 0n),
          count,
        ),
      ),
      quantilesMs: publishedQuantiles.map((quantile) => {
        const { lower, upper, fraction } = quantileRank(count, quantile);
        return toMs(interpolate(at(lower), at(upper), fraction));
      }),
      buckets: [...new Set(durations.map(bucketOf))],
    };
  });
  return { rows: rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)), folded: folded.size };
}

async function merged(partials: readonly Uint8Array[], limits = mergeLimits) {
  const limit = new OperationLimit(operationsMax);
  const { readers, cost } = countingReaders(partials);
  const stats = await mergePartials(readers, publishedQuantiles, limits, limit);
  const rows = stats.map((group) => {
    const { tenantId, serviceName, operationName, spanKind } = group;
    const { totalSpans, errorCount, uniqueTraces, minMs, maxMs, meanMs, quantilesMs } = group;
    const key = JSON.stringify([tenantId, serviceName, operationName, spanKind]);
    const figures = { totalSpans, errorCount, uniqueTraces, minMs, maxMs, meanMs, quantilesMs };
    return { key, ...figures, buckets: [...group.buckets] };
  });
  return {
    rows: rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    stats,
    folded: limit.folded,
    cost,
  };
}

function serviceSums(stats: readonly { serviceName: string; totalSpans: number }[]) {
  const services = Map.groupBy(stats, ({ serviceName }) => serviceName);
  return Array.from(services, ([name, own]) => [
    name,
    own.reduce((sum, { totalSpans }) => sum + totalSpans, 0),
  ]);
}

function keyOf(operationName: string, spanKind: string) {
  return { tenantId: 't', serviceName: 's', operationName, spanKind };
}

describe('OperationLimit', () => {
  it(`folds what the plain definition folds, exactly, for 1 to 500 shards (seed ${seed})`, async () => {
    const spans = busySpans(seededRandom(seed));
    const { rows, folded } = wanted(spans);
    expect(folded).toBeGreaterThan(300);
    const one = await merged(shardsOf(spans, 1));
    expect(one.rows).toEqual(rows);
    expect(one.folded).toBe(folded);
    for (const shards of [7, 50, 500]) {
      const { stats, folded: also } = await merged(shardsOf(spans, shards).toReversed());
      expect(stats).toEqual(one.stats);
      expect(also).toBe(folded);
    }
  });

  it(`gives the same in little memory: by passes over the runs, and pieces of headers (seed ${seed})`, async () => {
    const spans = busySpans(seededRandom(seed));
    const wide = await merged(shardsOf(spans, 7));
    // Equal durations in one bucket that is many times what may be loaded, and some beside it.
    const limits = {
      ...mergeLimits,
      runBytes: 64,
      windowBytes: 100,
      headerBytes: 1,
      requestBytes: 500,
    };
    expect((await merged(shardsOf(spans, 7), limits)).stats).toEqual(wide.stats);
    const crowded = spans.map((span, i) => ({
      ...span,
      durationNs: 2n ** 60n + BigInt(i % 900) * 2n ** 40n,
    }));
    const narrow = await merged(shardsOf(crowded, 7), limits);
    expect(narrow.rows).toEqual(wanted(crowded).rows);
  });

  it('keeps the sums of services, and is as without it when no service has too many', async () => {
    const spans = busySpans(seededRandom(seed));
    const partials = shardsOf(spans, 3);
    const all = await mergePartials(countingReaders(partials).readers, publishedQuantiles);
    expect(serviceSums((await merged(partials)).stats)).toEqual(serviceSums(all));
    const few = shardsOf(
      spans.filter(({ service }) => service === 'few'),
      3,
    );
    const { stats, folded, cost } = await merged(few);
    expect(folded).toBe(0);
    expect(stats).toEqual(await mergePartials(countingReaders(few).readers, publishedQuantiles));
    expect(cost.requests).toBeLessThanOrEqual(2 * 3);
  });

  it('breaks ties by the bytes of names, and counts a kind of no span as an operation', () => {
    const names = [
      'a',
      'a\0',
      'ab',
      'z',
      '\u00e9',
      '\ud7ff',
      '\ue000',
      '\uffee',
      '\u{10000}',
      '\u{1f30a}',
    ];
    for (const a of names) {
      for (const b of names) {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }
    }
    const limit = new OperationLimit(2);
    limit.see(keyOf('a', 'Client'), 0);
    limit.see(keyOf('b', 'Client'), 3);
    limit.see(keyOf('b', 'Server'), 2);
    limit.see(keyOf('c', 'Client'), 4);
    limit.end();
    expect([limit.isPassed, limit.folded]).toEqual([true, 1]);
    expect(limit.foldOf(keyOf('a', 'Client'))).toEqual(keyOf('__overflow__', 'Client'));
    expect(limit.foldOf(keyOf('b', 'Server'))).toBeUndefined();
    expect(limit.foldOf(keyOf('c', 'Client'))).toBeUndefined();
  });

  it('throws CORRUPT_ARCHIVE for a partial whose groups are not in order', async () => {
    const group = { tenantId: 't', serviceName: 's', spanKind: 'k' };
    const totals = { rawCount: 1, count: 0, errorCount: 0, uniqueTraces: 0, conflicts: 0 };
    const none = {
      durationMinNs: 0n,
      durationMaxNs: 0n,
      durationSumNs: 0n,
      durations: new BigUint64Array(),
    };
    const bytes = encodePartial(
      ['a', 'b'].map((operationName) => ({ ...group, operationName, ...totals, ...none })),
    );
    const text = Buffer.from(bytes).toString('latin1');
    const swapped = Buffer.from(text.replace('\u0001a', '\u0001x'), 'latin1');
    await expect(merged([swapped])).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
  });
});
