/** Finding a trace by statistics alone: what is found, and what it costs. */
import { beforeEach, describe, expect, it } from 'vitest';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { footerBytesGuess } from '../../schemas/limits/batch.ts';
import { findTrace } from '../../workers/trace.ts';
import type { TraceQuery } from '../../workers/trace.ts';
import { FaultyStore } from '../support/faults.ts';
import { archive } from '../support/history.ts';
import { linesOf } from '../support/items.ts';
import { CountingStore } from '../support/objects.ts';
import { encodeTraces } from '../support/otlp.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const startMs = Date.UTC(2026, 10, 22, 13, 30);

let memory: FaultyStore;
let store: CountingStore;

beforeEach(() => {
  memory = new FaultyStore(new Map());
  store = new CountingStore(memory);
});

interface Made {
  readonly trace: number;
  readonly span: number;
  readonly parent?: number;
  readonly atMs?: number;
}

/** Trace n has n in its first four bytes, so that ranges of numbers are ranges of ids. */
function idOf(number: number, bytes: number): Buffer {
  const id = Buffer.alloc(bytes, 0xee);
  id.writeUInt32BE(number);
  return id;
}

function request(...spans: readonly Made[]): Uint8Array {
  return encodeTraces({
    resourceSpans: [{ scopeSpans: [{ scope: { name: 'lib' }, spans: spans.map(spanOf) }] }],
  });
}

function spanOf({ trace, span, parent, atMs = startMs }: Made): object {
  return {
    traceId: idOf(trace, 16),
    spanId: idOf(span, 8),
    ...(parent !== undefined && { parentSpanId: idOf(parent, 8) }),
    name: `span ${span}`,
    startTimeUnixNano: String(BigInt(atMs) * 1_000_000n + BigInt(span)),
    endTimeUnixNano: String(BigInt(atMs + 5) * 1_000_000n),
  };
}

function query(trace: number, more: Partial<TraceQuery> = {}): TraceQuery {
  const traceId = idOf(trace, 16).toString('hex');
  return { traceId, fromMs: startMs - dayMs, toMs: startMs + hourMs, untilWhole: false, ...more };
}

function linesFound({ spans }: { spans: readonly { request: Uint8Array }[] }): string[] {
  return spans.flatMap((span) => linesOf('traces', span.request));
}

function filesRead(): string[] {
  return memory.operations.filter((operation) => /^get signal=.*parquet$/.test(operation));
}

function send(atMs: number, ...spans: Made[]): Promise<void> {
  const timed = spans.map((span) => ({ ...span, atMs }));
  return archive(memory, 'traces', [{ receivedMs: atMs, request: request(...timed) }]);
}

describe('findTrace()', () => {
  it('opens only files whose row groups may hold the trace, with two reads at most', async () => {
    const low = request({ trace: 1, span: 1 }, { trace: 9, span: 2 });
    const high = request({ trace: 50, span: 3 }, { trace: 90, span: 4 });
    await archive(memory, 'traces', [{ receivedMs: startMs, request: low }]);
    await archive(memory, 'traces', [{ receivedMs: startMs, request: high }]);
    memory.operations.length = 0;
    const found = await findTrace(store, query(9));
    expect(linesFound(found)).toEqual(linesOf('traces', low).slice(1));
    expect(found).toMatchObject({ fileCount: 2, filesRead: 1 });
    // Both are smaller than what is read with the footer.
    expect(filesRead()).toHaveLength(1);
    // In the range of a file's ids, and yet not there: it has to be looked at.
    expect(await findTrace(store, query(70))).toMatchObject({ spans: [], filesRead: 1 });
    expect(await findTrace(store, query(30))).toMatchObject({ spans: [], filesRead: 0 });
  });

  it('reads one row group of many, once, and the footer', async () => {
    const count = 2 * rowGroupRows + 1000;
    const requests = Array.from({ length: Math.ceil(count / 5000) }, (_, part) =>
      request(
        ...Array.from({ length: 5000 }, (__, index) => ({ trace: part * 5000 + index, span: 7 })),
      ),
    );
    const sent = requests.map((body) => ({ receivedMs: startMs, request: body }));
    await archive(memory, 'traces', sent);
    store.reset();
    memory.operations.length = 0;
    const found = await findTrace(store, query(rowGroupRows + 10));
    expect(found.spans).toHaveLength(1);
    const key = filesRead()[0]?.slice('get '.length) ?? '';
    const all = (await memory.get(key))?.length ?? 0;
    expect(filesRead().filter((operation) => operation === `get ${key}`).length).toBe(3);
    expect(found.filesRead).toBe(1);
    // One of two row groups, beside the end of the file.
    expect(store.bytesRead - footerBytesGuess).toBeLessThan(all * 0.5);
  });

  it('finds a trace that lies across two row groups with two reads', async () => {
    const before = Array.from({ length: rowGroupRows - 1 }, (_, trace) => ({ trace, span: 1 }));
    const own = [1, 2, 3].map((span) => ({ trace: rowGroupRows, span }));
    const after = { trace: rowGroupRows + 1, span: 1 };
    const body = request(...before, ...own, after);
    await archive(memory, 'traces', [{ receivedMs: startMs, request: body }]);
    memory.operations.length = 0;
    const found = await findTrace(store, query(rowGroupRows));
    expect(found.spans.map(({ spanId }) => Number.parseInt(spanId.slice(0, 8), 16))).toEqual([
      1, 2, 3,
    ]);
    expect(filesRead()).toHaveLength(2);
  });

  it('tells the first delivery of a span from repeated ones, and tenants apart', async () => {
    const body = request({ trace: 5, span: 1 }, { trace: 5, span: 2, parent: 1 });
    await archive(memory, 'traces', [
      { receivedMs: startMs + 2000, request: body },
      { receivedMs: startMs + 1000, request: body },
      { receivedMs: startMs, request: body, tenantId: 'other' },
    ]);
    const found = await findTrace(store, query(5));
    const seen = found.spans.map(({ tenantId, isDuplicate }) => [tenantId, isDuplicate]);
    expect(seen).toEqual([
      ['other', false],
      ['other', false],
      ['acme', false],
      ['acme', false],
      ['acme', true],
      ['acme', true],
    ]);
    const own = await findTrace(store, query(5, { tenantId: 'other' }));
    expect(own.spans).toHaveLength(2);
  });

  it('ends with the day on which no parent is missing, and goes on while one is', async () => {
    await send(startMs - 3 * dayMs, { trace: 1, span: 1 }, { trace: 2, span: 1 });
    await send(startMs - dayMs, { trace: 2, span: 2, parent: 1 });
    await send(startMs, { trace: 1, span: 5 });
    const range = { fromMs: startMs - 7 * dayMs, toMs: startMs + hourMs, untilWhole: true };
    const whole = await findTrace(store, query(1, range));
    expect(whole.spans).toHaveLength(1);
    expect(whole.fromMs).toBe(Date.UTC(2026, 10, 22));
    const long = await findTrace(store, query(2, range));
    expect(long.spans).toHaveLength(2);
    expect(long.fromMs).toBe(Date.UTC(2026, 10, 19));
    const all = await findTrace(store, query(1, { ...range, untilWhole: false }));
    expect(all.spans).toHaveLength(2);
    expect(all.fromMs).toBe(Math.floor(range.fromMs / hourMs) * hourMs);
  });
});
