/** The columns that all partitions share: one flush at a time, each beginning with empty ones. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { topics } from '../../../schemas/archive.ts';
import { SharedColumns } from '../../../workers/flush/columns.ts';
import type { FlushEncoder, RawRecord } from '../../../workers/flush/encode.ts';
import { Generator } from '../../aggregator-as/generate.ts';
import { LogGenerator } from '../../aggregator-as/logmaker.ts';
import { PointGenerator } from '../../aggregator-as/pointmaker.ts';
import { spoolObject } from '../../support/committed.ts';
import { seededRandom } from '../../support/random.ts';

const windows = { rowsMax: 1e9, pastMaxMs: 1e15, futureMaxMs: 1e15 };
const place = { topic: topics.traces, partitionNumber: 0, oversized: new Set<string>() };
const options = { ...windows, ...place };
const { body } = spoolObject(topics.traces, Date.UTC(2026, 10, 22), 'r', ['a', 'b']);
const record = { offset: 0n, receivedMs: 0, tenantId: 'acme', request: body, name: 'r' };
const wasm = new URL('../../../aggregator-as/build/transcode.wasm', import.meta.url);

let transcoder: WebAssembly.Module;

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

/** Comparing bytes one by one takes seconds. */
function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function recordOf(request: Uint8Array, index: number): RawRecord {
  return { ...record, offset: BigInt(index), request };
}

function turns(count: number): Promise<void> {
  return count === 0 ? Promise.resolve() : Promise.resolve().then(() => turns(count - 1));
}

describe('SharedColumns.use()', () => {
  it('lends to one task at a time, in the order of asking, and empty', async () => {
    const shared = new SharedColumns(transcoder);
    const seen: string[] = [];
    const use = (name: string) =>
      shared.use('traces', async (encoder) => {
        const before = await encoder.add([], options);
        seen.push(`${name} begins with ${before.rows}`);
        const after = await encoder.add([record], options);
        await turns(20);
        seen.push(`${name} ends with ${after.rows}`);
      });
    await Promise.all(['first', 'second', 'third'].map(use));
    expect(seen).toEqual(
      ['first', 'second', 'third'].flatMap((name) => [
        `${name} begins with 0`,
        `${name} ends with 2`,
      ]),
    );
  });

  it('goes on after a task that failed', async () => {
    const shared = new SharedColumns(transcoder);
    const failing = shared.use('traces', () => Promise.reject(new Error('broken')));
    const next = shared.use('traces', (encoder) => encoder.add([], options));
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toMatchObject({ rows: 0 });
  });

  it('gives a flush the files of new columns, whatever the signals of those before', async () => {
    const seed = 20_261_123;
    console.info(`seed ${seed}`);
    const random = seededRandom(seed);
    const generators = {
      traces: new Generator(random),
      logs: new LogGenerator(random),
      metrics: new PointGenerator(random),
    };
    const shared = new SharedColumns(transcoder);
    const order = ['traces', 'logs', 'traces', 'metrics', 'logs', 'metrics', 'traces'] as const;
    for (const [round, signal] of [...order, ...order].entries()) {
      const requests = Array.from({ length: 5 }, () => generators[signal].request());
      const flush = async (encoder: FlushEncoder) => {
        await encoder.add(requests.map(recordOf), options);
        const files = [];
        for await (const { bytes, ...file } of encoder.files()) {
          files.push({ ...file, bytes: digest(bytes) });
        }
        return files;
      };
      const files = await shared.use(signal, flush);
      expect(files.length).toBeGreaterThan(0);
      const own = await new SharedColumns(transcoder).use(signal, flush);
      expect(files, `round ${round}`).toEqual(own);
    }
  });
});
