/** Files as exporters leave them, byte by byte: what is a record, and where a fault is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRecords } from '../../../bin/import/records.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-records-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** The records as text, each with its form and place. */
async function read(bytes: Uint8Array | string): Promise<string[]> {
  const file = path.join(directory, 'export');
  writeFileSync(file, bytes);
  const records: string[] = [];
  for await (const { form, bytes: record, where } of readRecords(file)) {
    records.push(`${form} ${where} ${Buffer.from(record).toString()}`);
  }
  return records;
}

function frame(content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

describe('readRecords()', () => {
  it('reads lines, the last one without a break too, and skips empty ones', async () => {
    expect(await read('{"a":1}\n\r\n  {"b":2} \r\n{"c":3}')).toEqual([
      'json line 1 {"a":1}',
      'json line 3 {"b":2}',
      'json line 4 {"c":3}',
    ]);
    const long = `{"a":"${'x'.repeat(3_000_000)}"}`;
    expect(await read(`${long}\n{"b":2}\n`)).toEqual([
      `json line 1 ${long}`,
      'json line 2 {"b":2}',
    ]);
  });

  it('reads a document on many lines as one', async () => {
    const [record, ...more] = await read('{\n  "a": 1\n}\n');
    expect(JSON.parse(record?.slice('json line 1 '.length) ?? '')).toEqual({ a: 1 });
    expect(more).toEqual([]);
  });

  it('reads frames, compressed ones too, and a whole protobuf request', async () => {
    const frames = [
      frame('\n\u0003abc'),
      frame(zstdCompressSync('{"a":1}')),
      frame(''),
      frame(zstdCompressSync('\n\u0001x')),
    ];
    const where = [0, 11, 0, 0].map((_, index) =>
      frames.slice(0, index).reduce((sum, { length }) => sum + length, 0),
    );
    expect(await read(Buffer.concat(frames))).toEqual([
      `protobuf byte ${where[0]} \n\u0003abc`,
      `json byte ${where[1]} {"a":1}`,
      `protobuf byte ${where[3]} \n\u0001x`,
    ]);
    expect(await read('\n\u0003abc')).toEqual(['protobuf byte 0 \n\u0003abc']);
    expect(await read('')).toEqual([]);
  });

  it('inflates files that are compressed as a whole', async () => {
    const text = '{"a":1}\n{"b":2}\n';
    const records = ['json line 1 {"a":1}', 'json line 2 {"b":2}'];
    expect(await read(gzipSync(text))).toEqual(records);
    expect(await read(zstdCompressSync(text))).toEqual(records);
    const frames = Buffer.concat([frame('\n\u0001x'), frame('\n\u0001y')]);
    expect(await read(zstdCompressSync(frames))).toHaveLength(2);
  });

  it('names the place of what is cut off or no export', async () => {
    const whole = Buffer.concat([frame('\n\u0003abc'), frame('\n\u0003abc')]);
    const reading = { code: 'BAD_ENCODING' };
    for (let length = 10; length < whole.length; length += 1) {
      const message: unknown = expect.stringMatching(/^byte 9: it ends inside/);
      await expect(read(whole.subarray(0, length))).rejects.toMatchObject({ ...reading, message });
    }
    await expect(read(zstdCompressSync('{"a":1}\n').subarray(0, -3))).rejects.toMatchObject(
      reading,
    );
    await expect(read(gzipSync('{"a":1}\n').subarray(0, -3))).rejects.toMatchObject(reading);
    await expect(read('hello')).rejects.toMatchObject({
      message: expect.stringMatching(/no export/) as unknown,
    });
    await expect(read(Buffer.from([1, 0, 0, 0, 1]))).rejects.toMatchObject(reading);
  });
});
