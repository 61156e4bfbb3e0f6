/**
 * Files of every signal against three independent readers, DuckDB, the ClickHouse engine and Apache
 * Arrow, and an independent decoder, protobufjs, on random requests that use every field of the protos.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../aggregator-as/host.ts';
import type { Provenance } from '../../aggregator-as/host.ts';
import { archiveColumns, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { encodeParquet } from '../../workers/parquet.ts';
import { expectHours, groupHours } from '../aggregator-as/columns.ts';
import type { ExpectedHour } from '../aggregator-as/columns.ts';
import { Generator } from '../aggregator-as/generate.ts';
import { LogGenerator } from '../aggregator-as/logmaker.ts';
import { arrived, expectLogs } from '../aggregator-as/logs.ts';
import { loadTranscoder, provenance as anyProvenance } from '../aggregator-as/module.ts';
import { expectPointHours } from '../aggregator-as/pointcolumns.ts';
import { PointGenerator } from '../aggregator-as/pointmaker.ts';
import { expectPoints } from '../aggregator-as/points.ts';
import { expectSpans } from '../aggregator-as/reference.ts';
import { arrowRows } from '../support/arrow.ts';
import { clickhouseRows, duckdbRows } from '../support/archived.ts';
import type { ArchiveRow } from '../support/archived.ts';
import { peerBuildMs, pyarrow } from '../support/peers.ts';
import type { Peer } from '../support/peers.ts';
import { seededRandom } from '../support/random.ts';

interface Sent {
  readonly request: Uint8Array;
  readonly provenance: Provenance;
}

interface Witness {
  readonly generator: (random: () => number) => { request(): Uint8Array };
  readonly hours: (sent: readonly Sent[]) => ExpectedHour[];
}

const witnesses: Record<Signal, Witness> = {
  traces: {
    generator: (random) => new Generator(random),
    hours: (sent) =>
      expectHours(
        sent.flatMap(({ request, provenance }) =>
          expectSpans(request, provenance).spans.map((span) => ({ span, provenance })),
        ),
      ),
  },
  metrics: {
    generator: (random) => new PointGenerator(random),
    hours: (sent) =>
      expectPointHours(
        sent.flatMap(({ request, provenance }) =>
          expectPoints(request, provenance).points.map((point) => ({ point, provenance })),
        ),
      ),
  },
  logs: {
    generator: (random) => new LogGenerator(random),
    hours: (sent) =>
      groupHours(
        sent.flatMap(({ request, provenance }) =>
          expectLogs(request, provenance).logs.map((log) => arrived({ log, provenance })),
        ),
      ),
  },
};

let directory: string;
let python: Peer;
let module: WebAssembly.Module;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-parquet-'));
  module = await loadTranscoder();
  python = await pyarrow();
}, peerBuildMs);

afterAll(async () => rm(directory, { recursive: true }));

/** The reference's values in the form in which the engines give them: whole numbers of 64 bits as text. */
function shown(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return Array.isArray(value) ? value.map(shown) : value;
}

function shownRow(row: Record<string, unknown>, signal: Signal): ArchiveRow {
  return Object.fromEntries(archiveColumns[signal].map(({ name }) => [name, shown(row[name])]));
}

describe('encodeParquet() of random requests', () => {
  it.each(['traces', 'metrics', 'logs'] as const)(
    'keeps every column of %s: three engines read what protobufjs reads of OTLP',
    async (signal) => {
      const seed = 20_261_122;
      console.info(`seed ${seed}`);
      const generator = witnesses[signal].generator(seededRandom(seed));
      const columns = new ItemColumns(module, signal);
      const sent: Sent[] = Array.from({ length: 40 }, (_, index) => {
        const place = { topic: topics[signal], partition: index % 3, offset: BigInt(index) };
        const provenance = { ...anyProvenance, ...place, tenantId: `tenant-${index % 2}` };
        return { request: generator.request(), provenance };
      });
      for (const { request, provenance } of sent) columns.add(request, provenance);
      const hours = witnesses[signal].hours(sent);
      expect(hours.length).toBeGreaterThan(1);
      const files: string[] = [];
      for (const batch of columns.hours()) {
        const path = join(directory, `${signal}-${files.length}.parquet`);
        await writeFile(path, encodeParquet(batch).bytes);
        files.push(path);
      }
      const expected = hours.map(({ rows }) => rows.map((row) => shownRow(row, signal)));
      expect(files.map((path) => clickhouseRows(path, signal))).toEqual(expected);
      expect(await duckdbRows(files, signal)).toEqual(expected.flat());
      if ('missing' in python) return;
      expect(await arrowRows(python.path, files, signal)).toEqual(expected);
    },
  );
});
