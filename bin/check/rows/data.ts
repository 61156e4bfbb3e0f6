/** Rows 69–80: what an endpoint makes of single items, as far as its answers show it. */
import { isTaken, rejectedBy } from '../answer.ts';
import {
  attributeBytes,
  logBytes,
  metricBytes,
  pointBytes,
  post,
  requestBytes,
  spanBytes,
} from '../payload.ts';
import { row } from '../row.ts';
import type { Judgement, Row, Signal, Target } from '../row.ts';
import { every, shoot } from '../shot.ts';
import {
  bytes,
  double,
  fixed32,
  fixed64,
  join,
  packedDoubles,
  packedFixed64,
  rawVarint,
  varint,
} from '../wire.ts';

/** Items by label: those to be rejected, and those to be taken. */
interface Items {
  readonly bad?: Readonly<Record<string, Uint8Array>>;
  readonly good?: Readonly<Record<string, Uint8Array>>;
}

const rejected = 'rejected in partial_success (or 400)';
const acceptedOnly = '200; how it is stored cannot be seen from outside';

/** AGGREGATION_TEMPORALITY_CUMULATIVE. */
const cumulative = varint(2, 2);

export const dataRows: readonly Row[] = [
  itemRow(69, 'traces', 'ids of zero or none make a span invalid', rejected, (target) => ({
    bad: {
      'no trace id': spanBytes(target, { traceId: new Uint8Array() }),
      'zero trace id': spanBytes(target, { traceId: new Uint8Array(16) }),
      'no span id': spanBytes(target, { spanId: new Uint8Array() }),
      'zero span id': spanBytes(target, { spanId: new Uint8Array(8) }),
    },
  })),
  itemRow(70, 'traces', 'attribute keys given twice lose nothing else', acceptedOnly, (target) => ({
    good: {
      twice: spanBytes(target, {
        more: join(bytes(9, attributeBytes('a', '1')), bytes(9, attributeBytes('a', '2'))),
      }),
    },
  })),
  itemRow(71, 'metrics', 'a data point without a time should be rejected', rejected, (target) => ({
    bad: { 'time 0': metricBytes('gauge', pointBytes(target, 0n)) },
  })),
  itemRow(72, 'metrics', 'temporality must be specified', rejected, (target) => ({
    bad: {
      sum: metricBytes('sum', pointBytes(target), varint(2, 0)),
      histogram: metricBytes('histogram', histogram(target, [1n, 2n], [1])),
    },
    good: { 'specified sum': metricBytes('sum', pointBytes(target), cumulative) },
  })),
  itemRow(
    73,
    'metrics',
    'buckets of a histogram fit its bounds and its count',
    rejected,
    (target) => histograms(target),
  ),
  itemRow(74, 'metrics', 'an exponential histogram’s buckets add up', rejected, (target) => ({
    bad: {
      'count too large': metricBytes('exponential', exponential(target, 7n), cumulative),
    },
    good: { fitting: metricBytes('exponential', exponential(target, 6n), cumulative) },
  })),
  itemRow(
    75,
    'metrics',
    'quantiles of a summary increase, values are not negative',
    rejected,
    (target) => ({
      bad: {
        decreasing: metricBytes('summary', summary(target, [0.9, 1], [0.5, 2])),
        equal: metricBytes('summary', summary(target, [0.5, 1], [0.5, 2])),
        'negative value': metricBytes('summary', summary(target, [0.5, -1])),
      },
      good: { fitting: metricBytes('summary', summary(target, [0.5, 1], [0.9, 2])) },
    }),
  ),
  itemRow(
    76,
    'metrics',
    'a point that says "no recorded value" is kept',
    acceptedOnly,
    (target) => ({
      // DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK = 1
      good: { flagged: metricBytes('gauge', join(fixed64(3, target.nowNs()), varint(8, 1))) },
    }),
  ),
  row({
    number: 77,
    level: 'proto',
    title: 'flags beyond the known bits are no error',
    expected: acceptedOnly,
    run: (target) => {
      const flags = { traces: 16, logs: 8 };
      const spans = requestBytes(spanBytes(target, { more: fixed32(flags.traces, ~0) }));
      const logs = requestBytes(logBytes(target, { more: fixed32(flags.logs, ~0) }));
      const requests = { traces: spans, logs };
      const able = (['traces', 'logs'] as const).filter((name) => target.signals.includes(name));
      return shoot(
        target,
        able.map((signal) => [signal, post(signal, 'protobuf', requests[signal])]),
      );
    },
    judge: (shots) => every(shots, ({ answer }) => isTaken(answer)),
  }),
  itemRow(
    78,
    'logs',
    'a log record without a time has its observed time',
    acceptedOnly,
    (target) => ({
      good: {
        observed: logBytes(target, { timeNs: 0n }),
        neither: logBytes(target, { timeNs: 0n, observedNs: 0n }),
      },
    }),
  ),
  itemRow(79, 'traces', 'a span that ends before it starts is kept', acceptedOnly, (target) => ({
    good: {
      'end < start': spanBytes(target, {
        startNs: target.nowNs(),
        endNs: target.nowNs() - 5_000_000n,
      }),
    },
  })),
  itemRow(80, 'traces', 'schema URLs and dropped counts are taken', acceptedOnly, (target) => ({
    good: {
      'dropped counts': spanBytes(target, {
        more: join(varint(10, 1), varint(12, 2), varint(14, 3)),
      }),
    },
  })),
];

/** A rule about items, each sent alone. */
function itemRow(
  number: number,
  signal: Signal,
  title: string,
  expected: string,
  make: (target: Target) => Items,
): Row {
  return row({
    number,
    level: number > 77 ? 'tidemark' : 'proto',
    title,
    expected,
    run: async (target) => {
      if (!target.signals.includes(signal)) return { shots: [], bad: [] };
      const { bad = {}, good = {} } = make(target);
      const requests = Object.entries({ ...bad, ...good }).map(
        ([label, item]) => [label, post(signal, 'protobuf', requestBytes(item))] as const,
      );
      return { shots: await shoot(target, requests), bad: Object.keys(bad) };
    },
    judge: ({ shots, bad }): Judgement =>
      every(shots, ({ label, answer }) =>
        bad.includes(label)
          ? answer.status === 400 || (answer.status === 200 && rejectedBy(answer) === 1n)
          : isTaken(answer),
      ),
  });
}

/** HistogramDataPoint: time 3, count 4, sum 5, bucket_counts 6, explicit_bounds 7. */
function histogram(
  target: Target,
  counts: readonly bigint[],
  bounds: readonly number[],
  count = 3n,
  ...more: readonly Uint8Array[]
): Uint8Array {
  return join(
    fixed64(3, target.nowNs()),
    fixed64(4, count),
    bytes(6, packedFixed64(counts)),
    bytes(7, packedDoubles(bounds)),
    ...more,
  );
}

function metric(point: Uint8Array): Uint8Array {
  return metricBytes('histogram', point, cumulative);
}

function histograms(target: Target): Items {
  return {
    bad: {
      'a bucket too few': metric(histogram(target, [3n], [1])),
      'bounds not increasing': metric(histogram(target, [1n, 1n, 1n], [2, 1])),
      'bounds equal': metric(histogram(target, [1n, 1n, 1n], [1, 1])),
      'count is not the sum': metric(histogram(target, [1n, 1n], [1])),
      'sum of no values': metric(histogram(target, [0n, 0n], [1], 0n, double(5, 1))),
    },
    good: {
      fitting: metric(histogram(target, [1n, 2n], [1], 3n, double(5, 4))),
      'without buckets': metric(histogram(target, [], [])),
    },
  };
}

/** ExponentialHistogramDataPoint: time 3, count 4, scale 6, zero_count 7, positive 8, negative 9. */
function exponential(target: Target, count: bigint): Uint8Array {
  const buckets = bytes(2, rawVarint(1), rawVarint(2));
  return join(
    fixed64(3, target.nowNs()),
    fixed64(4, count),
    varint(6, 0),
    fixed64(7, 0n),
    bytes(8, buckets),
    bytes(9, buckets),
  );
}

/** SummaryDataPoint: time 3, count 4, sum 5, quantile_values 6 { quantile 1, value 2 }. */
function summary(target: Target, ...values: readonly (readonly [number, number])[]): Uint8Array {
  const quantiles = values.map(([quantile, value]) =>
    bytes(6, double(1, quantile), double(2, value)),
  );
  return join(fixed64(3, target.nowNs()), fixed64(4, 3n), double(5, 4), ...quantiles);
}
