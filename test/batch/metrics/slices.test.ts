import { afterAll, beforeAll, expect, it } from 'vitest';
import { listInput } from '../../../batch/plan/input.ts';
import { histogramProof, pointProof } from '../../../batch/metrics/proof.ts';
import { runBatch } from '../../../batch/run.ts';
import { verifyRun, type VerifyProgress } from '../../../batch/verify.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import { archiveDeliveries } from '../../support/delivered.ts';
import { metricDelivery, randomMetricDay } from '../../support/metricday.ts';
import { seededRandom } from '../../support/random.ts';
import { startStack, type Stack } from '../../support/stack.ts';

/** Most of it are requests to the store, which a loaded machine answers slowly. */
const patient = { timeout: 300_000 };
const period = parsePeriod('2026-10-02');
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
}, patient.timeout);
afterAll(() => stack.close());

it(
  'slices of services prove metrics, the series past the limit too, and find one that is wrong',
  patient,
  async () => {
    const sent = randomMetricDay(seededRandom(5), period.startMs, 20);
    const deliveries = sent.map((one, i) =>
      metricDelivery({ ...one, partition: 0, offset: BigInt(i) }),
    );
    await archiveDeliveries(stack.store, 'metrics', deliveries);
    const settings = {
      ...stack.settings,
      TIDEMARK_BATCH_SERIES_MAX: 3,
      TIDEMARK_VERIFY_ROWS: 1000,
    };
    const { run } = await runBatch({
      ...stack,
      settings,
      clock: () => Date.parse('2026-11-22T00:00:00Z'),
      random: seededRandom(1),
      log: { info: () => undefined, warn: () => undefined },
      period,
      of: 'metrics',
    });
    const { files } = await listInput(stack.store, 'metrics', period);
    const progress: VerifyProgress[] = [];
    const options = {
      ...stack,
      settings,
      period,
      runId: run?.runId ?? '',
      keys: files.map(({ key }) => key),
      // Told to be more than they are, so that there are slices.
      rows: 2000,
      proofs: [pointProof, histogramProof],
      periodMs: period.startMs,
      seriesMax: 3,
      edgesMax: 1,
      operationsMax: 1000,
      onProgress: (at: VerifyProgress) => progress.push(at),
    };
    const sliced = await verifyRun(options);
    const [published] = await stack.clickhouse.query<{ rows: string }>(
      `SELECT toString((SELECT count() FROM metric_stats_batch) +
         (SELECT count() FROM metric_histogram_batch)) AS rows`,
    );
    expect(sliced).toMatchObject({ equal: true, differences: [], rows: Number(published?.rows) });
    expect(progress.map(({ done }) => done)).toEqual([0, 1, 2, 0, 1, 2]);

    await stack.clickhouse.command(
      `INSERT INTO metric_stats_batch SELECT * REPLACE ('off' AS run_id,
       points + (series = '') AS points) FROM metric_stats_batch AS s WHERE s.run_id = {run:String}`,
      { run: options.runId },
    );
    const off = await verifyRun({
      ...options,
      runId: 'off',
      proofs: [pointProof],
    });
    expect(new Set(off.differences.map(({ figure }) => figure))).toEqual(new Set(['points']));
  },
);
