/** Rows of metrics as the ClickHouse engine reads them, against protobufjs with a plain reference. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Transcoder } from '../../aggregator-as/host.ts';
import { tablesOf } from '../../schemas/tables.ts';
import { seededRandom } from '../support/random.ts';
import { receivedMs } from './generate.ts';
import { loadTableRows } from './metrictables.ts';
import { loadTranscoder, receipt } from './module.ts';
import { PointGenerator } from './pointmaker.ts';
import { cellsOf, shown, tableOf } from './pointrows.ts';
import { expectPoints } from './points.ts';

let transcoder: Transcoder;

beforeAll(async () => {
  transcoder = new Transcoder(await loadTranscoder());
});

describe('rows of metrics in the ClickHouse engine', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tidemark-points-'));

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it.each(tablesOf.metrics)('equal the reference in %s, cell by cell', (table) => {
    const generator = new PointGenerator(seededRandom(20_261_122));
    const pieces: Buffer[] = [];
    const wanted: unknown[][] = [];
    for (let count = 0; count < 250; count++) {
      const request = generator.request();
      const { tables } = transcoder.toRowBinary('metrics', request, receipt);
      const own = tables.find((each) => each.table === table);
      pieces.push(Buffer.from(own?.rows ?? []));
      const points = expectPoints(request, receipt).points.filter(
        (point) => !point.quarantined && tableOf(point) === table,
      );
      wanted.push(
        ...points.map((point) => cellsOf(point, receipt.tenantId, receivedMs).map(shown)),
      );
    }
    const file = path.join(directory, `${table}.bin`);
    writeFileSync(file, Buffer.concat(pieces));
    expect(wanted.length).toBeGreaterThan(100);
    expect(loadTableRows(table, file)).toEqual(wanted);
  });
});
