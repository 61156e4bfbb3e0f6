/** The columns that all partitions share: one flush at a time, each beginning with empty ones. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { topics } from '../../schemas/archive.ts';
import { SharedColumns } from '../../workers/columns.ts';
import { spoolObject } from '../support/committed.ts';

const receipt = { tenantId: 'acme', receivedMs: 0, pastMaxMs: 1e15, futureMaxMs: 1e15 };
const place = { topic: topics.traces, partition: 0, offset: 0n };
const { body } = spoolObject(topics.traces, Date.UTC(2026, 10, 22), 'r', ['a', 'b']);
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);

let transcoder: WebAssembly.Module;

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

function turns(count: number): Promise<void> {
  return count === 0 ? Promise.resolve() : Promise.resolve().then(() => turns(count - 1));
}

describe('SharedColumns.use()', () => {
  it('lends to one task at a time, in the order of asking, and empty', async () => {
    const shared = new SharedColumns(transcoder);
    const seen: string[] = [];
    const use = (name: string) =>
      shared.use('traces', async (columns) => {
        seen.push(`${name} begins with ${columns.rowCount}`);
        columns.add(body, { ...receipt, ...place });
        await turns(20);
        seen.push(`${name} ends with ${columns.rowCount}`);
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
    const next = shared.use('traces', (columns) => Promise.resolve(columns.rowCount));
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toBe(0);
  });
});
