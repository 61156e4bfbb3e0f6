/** The service graph in slices, against the one query over all rows, which the batch is proved against. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { graphProof, graphSql } from '../../../batch/traces/graphproof.ts';
import { graphSlices } from '../../../batch/traces/graphslices.ts';
import type { FigureRow } from '../../../batch/verify.ts';
import { readSettings } from '../../../schemas/settings.ts';
import { openClickHouse, type ClickHouse } from '../../../workers/clients/clickhouse/clickhouse.ts';
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans } from '../../support/spans.ts';

const seed = 12;
const count = 2;
let server: TestClickHouse;
let clickhouse: ClickHouse;

/** A table of the rows with the archive's columns; they are made of others, because JSON has no bytes. */
const source = 'archived';
const archived = `
  SELECT * EXCEPT (trace, span, parent, links),
    toFixedString(unhex(trace), 16) AS TraceId,
    toFixedString(unhex(span), 8) AS SpanId,
    if(parent = '', NULL, toFixedString(unhex(parent), 8)) AS ParentSpanId,
    arrayMap(link -> toFixedString(unhex(link.1), 16), links) AS \`Links.TraceId\`,
    arrayMap(link -> toFixedString(unhex(link.2), 8), links) AS \`Links.SpanId\`
  FROM spans`;

beforeAll(async () => {
  server = await startClickHouse();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await clickhouse.command(`CREATE TABLE spans (TenantId String, ServiceName String, trace String,
    span String, parent String, SpanKind String, StatusCode String, Duration UInt64,
    SpanAttributes Map(String, String), links Array(Tuple(String, String)),
    IngestedAt DateTime64(3, 'UTC'), Partition Int32, Offset Int64, ItemIndex UInt32)
    ENGINE = Memory`);
  const rows = randomSpans(seededRandom(seed), 600, { hourMs: 0 });
  await clickhouse.insertRows(
    'spans',
    rows.map((row) => ({
      TenantId: row.tenant,
      ServiceName: row.service,
      trace: row.traceId,
      span: row.spanId,
      parent: row.parentSpanId ?? '',
      SpanKind: row.kind,
      StatusCode: row.status,
      Duration: String(row.durationNs),
      SpanAttributes: row.attributes ?? {},
      links: (row.links ?? []).map(({ traceId, spanId }) => [traceId, spanId]),
      IngestedAt: new Date(row.ingestedMs).toISOString(),
      Partition: row.partition,
      Offset: String(row.offset),
      ItemIndex: row.itemIndex,
    })),
  );
  await clickhouse.command(`CREATE TABLE archived ENGINE = Memory AS ${archived}`);
});
afterAll(async () => {
  await clickhouse.close();
  await server.stop();
});

function keyOf(row: FigureRow): string {
  return JSON.stringify(graphProof.keys.map((key) => row[key]));
}

/** The figures of each edge, as text, in the order of keys. */
function textsOf(rows: readonly FigureRow[]): string[] {
  return rows
    .map((row) => `${keyOf(row)} ${JSON.stringify(graphProof.figures.map((name) => row[name]))}`)
    .toSorted();
}

/** As `verifyRun` does it, with the rows of this table published. */
async function inSlices(table: string, edgesMax: number): Promise<readonly FigureRow[]> {
  const options = { periodMs: 0, seriesMax: 1, edgesMax, operationsMax: 1 };
  const sums = new Map<string, FigureRow>();
  for (let index = 0; index < count; index += 1) {
    const whole = { source, slice: { by: graphSlices.by, index, count } };
    const sql = graphSlices.sql('', `(SELECT * FROM ${table})`, options, whole);
    for (const row of await clickhouse.query<FigureRow>(sql)) {
      const sum = sums.get(keyOf(row));
      sums.set(keyOf(row), sum === undefined ? row : graphSlices.add(sum, row));
    }
  }
  const finished = [...sums.values()].map((row) => graphSlices.finish(row));
  return graphSlices.settle?.(finished, options) ?? finished;
}

it(`graphSlices give what one query does, messages between slices and folded edges included (seed ${seed})`, async () => {
  for (const edgesMax of [10_000, 20]) {
    const table = `published_${edgesMax}`;
    const sql = graphSql(source, { edgesMax });
    await clickhouse.command(`CREATE TABLE ${table} ENGINE = Memory AS ${sql}`);
    const whole = textsOf(await clickhouse.query<FigureRow>(sql));
    expect(whole.length).toBeGreaterThan(20);
    expect(whole.filter((text) => text.includes('"messaging_system",""')).length).toBeGreaterThan(
      3,
    );
    expect(textsOf(await inSlices(table, edgesMax))).toEqual(whole);
  }
  // What is published with one edge less than should be is not what the slices say.
  const wrong = textsOf(await inSlices('published_20', 21));
  expect(wrong).not.toEqual(textsOf(await clickhouse.query('SELECT * FROM published_20')));
});
