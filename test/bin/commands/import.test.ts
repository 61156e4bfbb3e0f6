/** `tidemark import` with files that have faults: where they are, and what is imported all the same. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Context } from '../../../bin/context.ts';
import { main } from '../../../bin/main.ts';
import { keysUnder } from '../../support/committed.ts';
import { startBucket } from '../../support/objects.ts';
import type { Bucket } from '../../support/objects.ts';
import { encodeTraces } from '../../support/otlp.ts';

let bucket: Bucket;
let directory: string;

beforeAll(async () => {
  bucket = await startBucket();
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-import-'));
});

afterAll(async () => {
  await bucket.close();
  rmSync(directory, { recursive: true });
});

async function tidemark(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const context: Context = {
    environment: { S3_ENDPOINT: bucket.endpoint },
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    now: () => Date.now(),
    signal: new AbortController().signal,
  };
  const code = await main(['import', ...args], context);
  return { code, stdout: out.join(''), stderr: err.join('') };
}

function line(number: number): string {
  const span = {
    traceId: '5b8efff798038103d269b633813fc60c',
    spanId: '00f067aa0ba902b7',
    name: `n${number}`,
    startTimeUnixNano: '1790856000000000000',
  };
  return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
}

function write(name: string, content: string | Uint8Array): string {
  const file = path.join(directory, name);
  writeFileSync(file, content);
  return file;
}

describe('tidemark import', () => {
  it('stops at a record that cannot be read, or goes on behind it, and says where it is', async () => {
    const bad = `${line(2).slice(0, -4)}}`;
    const file = write('faults.jsonl', [line(1), bad, '{}', line(3)].join('\n'));
    const stopped = await tidemark(file);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toContain(`${file}: line 2: `);
    const went = await tidemark(file, '--keep-going', '--json');
    expect(went.code).toBe(1);
    const report: unknown = JSON.parse(went.stdout);
    expect(report).toMatchObject({ records: 4, faults: 1, empty: 1 });
    expect(await keysUnder(bucket.store, 'spool/archive/otlp_spans/')).toHaveLength(2);
  });

  it('splits what is too large for one object, under names of their own', async () => {
    const spans = Array.from({ length: 40 }, (_, number) => ({
      traceId: Buffer.alloc(16, 1),
      spanId: Buffer.alloc(8, number + 1),
      name: 'x'.repeat(500_000),
      startTimeUnixNano: '1790856000000000000',
    }));
    const body = encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
    const done = await tidemark(write('large.otlp', body), '--tenant', 'big', '--json');
    expect(done.code).toBe(0);
    const { spooled } = JSON.parse(done.stdout) as { spooled: number };
    expect(spooled).toBe(3);
    const keys = await keysUnder(bucket.store, 'spool/archive/otlp_spans/');
    expect(keys.filter((key) => /-p\d\+big$/.test(key))).toHaveLength(3);
  });

  it.each(['none.jsonl', '.'])(
    'imports nothing at all when one of the files, %s, is none',
    async (name) => {
      const good = write(`before-${name.length}.jsonl`, line(7 + name.length));
      const before = await keysUnder(bucket.store, '');
      const done = await tidemark(good, path.join(directory, name), '--json', '--keep-going');
      expect(done).toMatchObject({ code: 2, stdout: '' });
      expect(done.stderr).toMatch(
        /^tidemark: Cannot read ".*": .*; nothing was imported \[BAD_SETTING\]\n$/,
      );
      expect(await keysUnder(bucket.store, '')).toEqual(before);
    },
  );

  it('refuses files that are not there and tenants that are none', async () => {
    expect(await tidemark(path.join(directory, 'none'))).toMatchObject({ code: 2 });
    const file = write('one.jsonl', line(1));
    expect(await tidemark(file, '--tenant', 'A B')).toMatchObject({ code: 2 });
  });
});
