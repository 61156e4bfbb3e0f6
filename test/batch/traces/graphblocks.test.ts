/** The columns of the service graph, from whatever layout of the same rows: one graph. */
import { readFile } from 'node:fs/promises';
import {
  Compression,
  EnabledStatistics,
  readParquet,
  writeParquet,
  WriterPropertiesBuilder,
  type WriterProperties,
} from 'parquet-wasm/node';
import { describe, expect, it } from 'vitest';
import { ItemColumns } from '../../../aggregator-as/host.ts';
import { SpanGraph } from '../../../aggregator-as/spangraph.ts';
import { parseFooter } from '../../../batch/parquet/footer.ts';
import { UnknownLayout } from '../../../batch/parquet/pages.ts';
import type { Chunk } from '../../../batch/traces/columns.ts';
import { graphColumns, graphPages } from '../../../batch/traces/graphblocks.ts';
import { spanPreamble } from '../../../schemas/partials/spans.ts';
import { idEnd } from '../../../schemas/shard.ts';
import { encodeParquet } from '../../../workers/parquet.ts';
import { writerProperties } from '../../../workers/compact/layout.ts';
import { provenance } from '../../aggregator-as/module.ts';
import { mergedPartial, type MergedOptions } from '../../support/merged.ts';
import { encodeTraces } from '../../support/otlp.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile, type SpanFile, type SpanRow } from '../../support/spans.ts';

const url = new URL('../../../aggregator-as/build/aggregate.wasm', import.meta.url);
const module = await WebAssembly.compile(await readFile(url));
const seed = 20_261_124;
const spans = randomSpans(seededRandom(seed), 900, { traces: 40 });

const ids = spans.map(({ traceId }) => BigInt(`0x${traceId}`)).toSorted((a, b) => (a < b ? -1 : 1));
const cut = ids[400] ?? 0n;
const ranges = [{}, { idFrom: 0n, idTo: cut }, { idFrom: cut, idTo: idEnd }];

type Range = Pick<MergedOptions, 'idFrom' | 'idTo'>;

async function expectSame(files: readonly SpanFile[], range: Range): Promise<void> {
  const partials: Buffer[] = [];
  for (const file of files) {
    partials.push((await mergedPartial(module, [file], { ...range, edgesMax: 1000 })).partial);
  }
  const [first] = partials;
  expect(first?.length).toBeGreaterThan(2000);
  for (const partial of partials) expect(first?.equals(partial)).toBe(true);
}

/** The spans as the archiver writes them, a request for each tenant and service. */
async function archived(rows: readonly SpanRow[]): Promise<SpanFile> {
  const transcoder = await readFile(new URL('transcode.wasm', url));
  const columns = new ItemColumns(await WebAssembly.compile(transcoder), 'traces');
  const requests = Map.groupBy(rows, ({ tenant, service }) => JSON.stringify([tenant, service]));
  for (const [offset, own] of [...requests.values()].entries()) {
    const tenantId = own[0]?.tenant ?? '';
    columns.add(requestOf(own), { ...provenance, tenantId, offset: BigInt(offset) });
  }
  const [batch, ...more] = columns.hours();
  if (batch === undefined || more.length > 0) throw new Error('Bug: all spans are of one hour');
  return { ...encodeParquet(batch), rows: [] };
}

const kinds = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'];

const id = (text = '') => Buffer.from(text, 'hex');
const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });

function requestOf(rows: readonly SpanRow[]): Uint8Array {
  const items = rows.map((row) => ({
    traceId: id(row.traceId),
    spanId: id(row.spanId),
    parentSpanId: id(row.parentSpanId),
    name: row.operation,
    kind: kinds.indexOf(row.kind),
    startTimeUnixNano: String(row.timestampNs),
    endTimeUnixNano: String(row.timestampNs + row.durationNs),
    attributes: Object.entries(row.attributes ?? {}).map(([key, text]) => attribute(key, text)),
    links: row.links?.map((link) => ({ traceId: id(link.traceId), spanId: id(link.spanId) })),
    status: { code: row.status === 'Error' ? 2 : 0 },
  }));
  const resource = { attributes: [attribute('service.name', rows[0]?.service ?? '')] };
  return encodeTraces({ resourceSpans: [{ resource, scopeSpans: [{ spans: items }] }] });
}

/** The file as parquet-wasm writes it. */
function rewritten({ bytes, rowGroups }: SpanFile, properties: WriterProperties): SpanFile {
  return { bytes: writeParquet(readParquet(bytes), properties), rowGroups, rows: [] };
}

function footerOf({ bytes }: SpanFile) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(bytes.length - 8, true);
  return parseFooter(bytes.subarray(bytes.length - 8 - length, -8), new Set(graphColumns));
}

/** Pages of the file's first row group, if they are laid out as is known. */
function pagesOf(file: SpanFile) {
  const chunks = new Map<string, Chunk>();
  for (const [name, place] of footerOf(file).rowGroups[0]?.chunks ?? []) {
    chunks.set(name, { place, bytes: file.bytes.subarray(place.start, place.end) });
  }
  return graphPages(chunks);
}

describe(SpanGraph.name, () => {
  it(`is the same of every layout, whole or in shards (seed ${seed})`, async () => {
    const coded = writeSpanFile(spans, 250);
    const plain = writeSpanFile(spans, 250, [], 'sorted', '2', 'plain');
    const old = writeSpanFile(spans, 250, ['PeerKind', 'PeerName'], 'sorted', '1');
    for (const range of ranges) await expectSame([coded, plain, old], range);
  });

  it(`is the same of the archiver's files and of merged ones (seed ${seed})`, async () => {
    const ours = await archived(spans);
    const merged = rewritten(ours, writerProperties('traces'));
    const plain = rewritten(
      ours,
      new WriterPropertiesBuilder().setDictionaryEnabled(false).build(),
    );
    expect(() => pagesOf(ours)).not.toThrow();
    expect(() => pagesOf(merged)).not.toThrow();
    expect(() => pagesOf(plain)).toThrow(UnknownLayout);
    for (const range of ranges) await expectSame([ours, merged, plain], range);
  });

  it(`is the same of files of many pages, of which a range has some (seed ${seed})`, async () => {
    const rows = randomSpans(seededRandom(seed + 1), 11_000, { traces: 400 });
    const ours = await archived(rows);
    const many = rewritten(ours, manyPages());
    const one = rewritten(ours, writerProperties('traces'));
    expect([ours, many, one].map(idPagesOf)).toEqual([
      2,
      expect.toSatisfy((count) => count > 100),
      1,
    ]);
    const cuts = pageEndsOf(ours.bytes).flatMap(({ least, greatest }) => [
      least,
      greatest - 2n ** 120n,
    ]);
    for (const [i, idFrom] of cuts.entries()) {
      await expectSame([one, ours, many], { idFrom, idTo: cuts[i + 1] ?? idEnd });
      await expectSame([one, ours, many], { idFrom: 0n, idTo: idFrom + 1n });
    }
  });

  it('refuses a page index that is not of its pages', async () => {
    const rows = randomSpans(seededRandom(seed + 2), 11_000, { traces: 400 });
    const { bytes, rowGroups } = await archived(rows);
    const { greatest } = pageEndsOf(bytes)[0] ?? {};
    const wrong = bytes.slice();
    const stated = Buffer.from(greatest?.toString(16).padStart(32, '0') ?? '', 'hex');
    wrong.set([1], Buffer.from(wrong.buffer).lastIndexOf(stated) + 14);
    await expect(mergedPartial(module, [{ bytes: wrong, rowGroups }])).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: expect.stringMatching(/order of TraceId/) as string,
    });
  });

  it('leaves the groups as they are without it, and makes no request more', async () => {
    const file = await archived(spans);
    const alone = await mergedPartial(module, [file]);
    const both = await mergedPartial(module, [file], { edgesMax: 1000 });
    expect(alone.partial.equals(both.partial.subarray(0, alone.partial.length))).toBe(true);
    expect(both.cost.requests).toBe(alone.cost.requests);
  });

  it(`keeps the copy that was received first, whatever copies say of their callers (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const copies = spans.flatMap((span, place) => {
      if (random() < 0.5) return [span];
      // The same in all figures of groups: only where it was received decides.
      const late = { ...span, ingestedMs: span.ingestedMs + 60_000, itemIndex: place };
      return [span, { ...late, links: [] }, { ...late, attributes: {}, parentSpanId: span.spanId }];
    });
    const wanted = await mergedPartial(module, [writeSpanFile(spans)], { edgesMax: 1000 });
    const halves = Map.groupBy(copies, ({ ingestedMs }) => ingestedMs % 2);
    const orders = [
      [writeSpanFile(copies)],
      Array.from(halves.values(), (half) => writeSpanFile(half)),
      [writeSpanFile(copies.toReversed(), 100)],
    ];
    for (const files of orders) {
      const { partial } = await mergedPartial(module, files, { edgesMax: 1000 });
      expect(edgesOf(partial)).toEqual(edgesOf(wanted.partial));
    }
  });
});

/** Pages of a few rows each, with an index of those of ids. */
function manyPages(): WriterProperties {
  return new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setColumnDictionaryEnabled('TraceId', false)
    .setColumnDictionaryEnabled('SpanId', false)
    .setColumnStatisticsEnabled('TraceId', EnabledStatistics.Page)
    .setDataPageSizeLimit(256)
    .setWriteBatchSize(16)
    .build();
}

/** What the page index says of the pages of ids in the first row group. */
function pageEndsOf(bytes: Uint8Array) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
  const at = bytes.length - 8 - length;
  const before = { start: 0, bytes: bytes.subarray(0, at) };
  const { rowGroups } = parseFooter(bytes.subarray(at, -8), new Set(['TraceId']), before);
  return rowGroups[0]?.chunks.get('TraceId')?.pageEnds ?? [];
}

const idPagesOf = ({ bytes }: SpanFile): number => pageEndsOf(bytes).length;

/** The edges' part of a partial. */
function edgesOf(partial: Buffer): Buffer {
  const rest = partial.subarray(spanPreamble.byteLength(partial));
  return rest.subarray(0, spanPreamble.byteLength(rest));
}

describe('graphPages()', () => {
  it('knows parents that are optional, and lists whose values are required', () => {
    const { parents, linkTraces } = pagesOf(writeSpanFile(spans, 250));
    expect(parents.pages.reduce((sum, { values }) => sum + values, 0)).toBe(250);
    expect(linkTraces.most).toBeGreaterThan(0);
  });

  it('leaves what is stored otherwise to the other reader', () => {
    const without = writeSpanFile(spans, 250, ['PeerName']);
    expect(() => pagesOf(without)).toThrow(UnknownLayout);
    const plain = writeSpanFile(spans, 250, [], 'sorted', '2', 'plain');
    expect(() => pagesOf(plain)).toThrow(UnknownLayout);
  });
});
