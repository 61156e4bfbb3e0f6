/** The decoding step: what gets an offset, what is set aside, and where a flush ends. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../../aggregator-as/host.ts';
import { topics } from '../../../schemas/archive.ts';
import { LocalEncoder } from '../../../workers/flush/encode.ts';
import type { Backlog, SourceRecord } from '../../../workers/sources/source.ts';
import { takeRecords } from '../../../workers/flush/take.ts';
import type { TakeOptions } from '../../../workers/flush/take.ts';
import { spoolObject } from '../../support/committed.ts';
import { encodeTraces } from '../../support/otlp.ts';

const topic = topics.traces;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const wasm = new URL('../../../aggregator-as/build/transcode.wasm', import.meta.url);

let transcoder: WebAssembly.Module;

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

const options: TakeOptions = {
  topic,
  partitionNumber: 3,
  firstOffset: 100n,
  rowsMax: 1e9,
  pastMaxMs: 1e9,
  futureMaxMs: 1e9,
  oversized: new Set(),
};

function record(index: number, request: Uint8Array): SourceRecord {
  return {
    offset: 100n + BigInt(index),
    receivedMs: startMs + index,
    tenantId: 'acme',
    request,
    name: `record ${index}`,
    origin: {},
  };
}

function requestOf(names: readonly string[]): Uint8Array {
  return spoolObject(topic, startMs, 'r', names).body;
}

function encoderOf(columns: ItemColumns): LocalEncoder {
  return new LocalEncoder(columns, () => 0);
}

/** A backlog of these records and nothing else. */
function backlogOf(records: readonly (SourceRecord | undefined)[]): Backlog {
  return {
    async *records() {
      yield* records;
    },
  } as unknown as Backlog;
}

describe('takeRecords()', () => {
  it('takes bad requests and empty ones like others, and sets the bad ones aside', async () => {
    const requests = [requestOf(['a', 'b']), Uint8Array.of(0xff), requestOf([]), requestOf(['c'])];
    const columns = new ItemColumns(transcoder, 'traces');
    const taken = await takeRecords(
      backlogOf(requests.map((r, i) => record(i, r))),
      encoderOf(columns),
      options,
    );
    expect(taken).toMatchObject({
      count: 4,
      nextOffset: 104n,
      lastName: 'record 3',
      rows: 3,
      ingestedMaxMs: startMs + 3,
      rejected: { undecodable_request: 1 },
      dead: [{ record: { name: 'record 1' }, error: { code: 'BAD_OTLP' } }],
    });
    expect(columns.rowCount).toBe(3);
  });

  it('goes by the offsets of the records, which may have gaps', async () => {
    const records = [0, 5, 9].map((index) => record(index, requestOf(['a'])));
    const taken = await takeRecords(
      backlogOf(records),
      encoderOf(new ItemColumns(transcoder, 'traces')),
      options,
    );
    expect(taken).toMatchObject({ count: 3, nextOffset: 110n });
  });

  it('counts refused spans by reason', async () => {
    const span = { name: 'a', traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1) };
    const bad = [
      { ...span, traceId: Buffer.alloc(15, 1) },
      { ...span, spanId: Buffer.alloc(8) },
    ];
    const spans = [span, ...bad, ...bad];
    const request = encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
    const columns = new ItemColumns(transcoder, 'traces');
    const taken = await takeRecords(backlogOf([record(0, request)]), encoderOf(columns), options);
    expect(taken).toMatchObject({ rows: 1, rejected: { trace_id_length: 2, span_id_zero: 2 } });
  });

  it('stops at rowsMax, and leaves the rest of the backlog for later', async () => {
    const records = [0, 1, 2, 3, 4].map((index) => record(index, requestOf(['a', 'b', 'c'])));
    const columns = new ItemColumns(transcoder, 'traces');
    const taken = await takeRecords(backlogOf(records), encoderOf(columns), {
      ...options,
      rowsMax: 4,
    });
    expect(taken).toMatchObject({ rows: 6, count: 2, nextOffset: 102n });
  });

  it('stops before the request for which there is no memory', async () => {
    const records = [0, 1].map((index) => record(index, requestOf(['y'.repeat(3_000_000)])));
    const columns = new ItemColumns(transcoder, 'traces', { pagesMax: 80 });
    const taken = await takeRecords(backlogOf(records), encoderOf(columns), options);
    expect(taken).toMatchObject({ rows: 1, count: 1, dead: [] });
  });

  it('sets aside what needs too much memory alone, and what says no tenant', async () => {
    const big = record(0, requestOf(['a']));
    const { tenantId: _, ...rest } = record(1, requestOf(['b']));
    const nobodys = { ...rest, tenantId: undefined };
    const oversized = new Set([big.name]);
    const columns = new ItemColumns(transcoder, 'traces');
    const taken = await takeRecords(backlogOf([big, nobodys]), encoderOf(columns), {
      ...options,
      oversized,
    });
    expect(taken?.dead.map(({ error }) => error.code)).toEqual(['CAPACITY', 'BAD_OTLP']);
    expect(taken).toMatchObject({ rows: 0, count: 2, nextOffset: 102n });
  });

  it('gives up when a record is gone', async () => {
    const columns = new ItemColumns(transcoder, 'traces');
    const records = [record(0, requestOf(['a'])), undefined];
    expect(await takeRecords(backlogOf(records), encoderOf(columns), options)).toBeUndefined();
  });
});
