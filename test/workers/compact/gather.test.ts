/**
 * Rows of every Arrow type out of Parquet files, gathered, and back to Arrow: against apache-arrow's
 * own reading of the same values.
 */
import * as arrow from 'apache-arrow';
import { Table, writeParquet } from 'parquet-wasm/node';
import { describe, expect, it } from 'vitest';
import { bytesOf, signatureOf, toStream, type ArrowRows } from '../../../workers/compact/arrow.ts';
import { emptyRuns, gatherRows, type Runs } from '../../../workers/compact/gather.ts';
import { FileReader } from '../../../workers/compact/read.ts';
import { countTenants, keepTenants, tenantNames } from '../../../workers/compact/tenants.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 20_261_122;
const texts = ['', 'a', 'grün 🌊', '\uFEFFwith a mark', 'x'.repeat(200), 'acme', 'default'];

type Row = Record<string, unknown>;

function list(type: arrow.DataType): arrow.DataType {
  return new arrow.List(new arrow.Field('item', type, false));
}

function types(): Record<string, arrow.DataType> {
  return {
    id: new arrow.FixedSizeBinary(16),
    TenantId: new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), 1),
    text: new arrow.Utf8(),
    raw: new arrow.Binary(),
    flag: new arrow.Bool(),
    int: new arrow.Int32(),
    long: new arrow.Int64(),
    double: new arrow.Float64(),
    time: new arrow.TimestampNanosecond(),
    bytes: list(new arrow.Uint8()),
    texts: list(new arrow.Utf8()),
    nested: list(list(new arrow.Uint32())),
  };
}

function randomRow(random: () => number): Row {
  const below = (bound: number) => Math.floor(random() * bound);
  const some = <T>(make: () => T, most = 4): T[] => Array.from({ length: below(most) }, make);
  const orNull = <T>(value: T): T | null => (random() < 0.3 ? null : value);
  const text = () => texts[below(texts.length)] ?? '';
  const doubles = [Number.NaN, -0, 0, 1.5, -Infinity, 5e-324];
  return {
    id: Uint8Array.from({ length: 16 }, () => below(256)),
    TenantId: text(),
    text: orNull(text()),
    raw: orNull(Uint8Array.from(some(() => below(256)))),
    flag: orNull(random() < 0.5),
    int: orNull(below(2 ** 32) - 2 ** 31),
    long: orNull(BigInt(below(2 ** 48)) - 2n ** 62n),
    double: orNull(doubles[below(doubles.length)] ?? 0),
    time: BigInt(below(2 ** 48)),
    bytes: some(() => below(256)),
    texts: some(text),
    nested: some(() => some(() => below(2 ** 32))),
  };
}

/** The library makes nanoseconds of milliseconds only. */
function times(values: readonly unknown[]): arrow.Vector {
  const data = BigInt64Array.from(values as bigint[]);
  const type = new arrow.TimestampNanosecond();
  return arrow.makeVector(arrow.makeData({ type, length: data.length, nullCount: 0, data }));
}

function parquetOf(rows: readonly Row[]): Uint8Array {
  const columns = Object.entries(types()).map(([name, type]) => {
    const values = rows.map((row) => row[name]);
    return [name, name === 'time' ? times(values) : arrow.vectorFromArray(values, type)];
  });
  const table = new arrow.Table(Object.fromEntries(columns) as Record<string, arrow.Vector>);
  return writeParquet(Table.fromIPCStream(arrow.tableToIPC(table, 'stream')));
}

async function read(rows: readonly Row[]): Promise<ArrowRows> {
  const bytes = parquetOf(rows);
  const input = { key: 'f', bytes: bytes.length, groupRows: [rows.length] };
  const reader = new FileReader(async (_, start, end) => bytes.subarray(start, end), input);
  const found = await reader.next();
  expect(await reader.next()).toBeUndefined();
  if (!found) throw new Error('no rows');
  return found;
}

/**
 * Values in one form: arrays for lists and bytes, and −0 told from 0. The library drops a byte order
 * mark at the start of a text when it reads one.
 */
function plain(value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (value instanceof Uint8Array) return [...value].map(plain);
  if (value instanceof arrow.Vector || Array.isArray(value)) return [...value].map(plain);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? value.replace(/^\uFEFF/, '') : value;
}

function rowsOfStream(stream: Uint8Array): unknown[] {
  const table = arrow.tableFromIPC(stream);
  return Array.from({ length: table.numRows }, (_, row) =>
    table.schema.fields.map(({ name }) => {
      const column = table.getChild(name);
      return plain(name === 'time' ? column?.data[0]?.values[row] : column?.get(row));
    }),
  );
}

function expected(rows: readonly Row[]): unknown[] {
  return rows.map((row) => Object.keys(types()).map((name) => plain(row[name])));
}

function randomRuns(random: () => number, sizes: readonly number[]): Runs {
  const runs = emptyRuns(200);
  for (; runs.count < 60; runs.count += 1) {
    const source = Math.floor(random() * sizes.length);
    const size = sizes[source] ?? 0;
    const from = Math.floor(random() * size);
    const to = Math.min(size, from + 1 + Math.floor(random() * random() * 40));
    runs.source[runs.count] = source;
    runs.from[runs.count] = from;
    runs.to[runs.count] = to;
    runs.rows += to - from;
  }
  return runs;
}

describe('gatherRows()', () => {
  it('gives the rows of any runs, of every type, with nulls, NaN, −0 and empty values', async () => {
    console.info(`seed ${seed}`);
    const random = seededRandom(seed);
    for (const sizes of [[1], [7, 1], [100, 33, 64, 8]]) {
      const rows = sizes.map((size) => Array.from({ length: size }, () => randomRow(random)));
      const sources = await Promise.all(rows.map(read));
      const runs = randomRuns(random, sizes);
      const wanted: Row[] = [];
      for (let run = 0; run < runs.count; run += 1) {
        const own = rows[runs.source[run] ?? 0] ?? [];
        wanted.push(...own.slice(runs.from[run], runs.to[run]));
      }
      const gathered = gatherRows(sources, runs);
      expect(rowsOfStream(toStream(gathered))).toEqual(expected(wanted));
      expect(signatureOf(gathered.fields)).toBe(signatureOf(sources[0]?.fields ?? []));
      // Of dictionaries only values that the rows have are left, each once.
      const own = new Set(wanted.map(({ TenantId }) => TenantId));
      expect(tenantNames(gathered, 'f').toSorted()).toEqual([...own].map(String).toSorted());
    }
  });

  it('keeps the bits of a NaN', async () => {
    const source = await read([randomRow(seededRandom(1))]);
    const index = source.fields.findIndex(({ name }) => name === 'double');
    const bits = Uint8Array.of(1, 2, 3, 4, 5, 6, 0xf7, 0xff);
    source.columns[index]?.data.set(bits);
    const runs = { ...emptyRuns(1), count: 1, rows: 1 };
    runs.to[0] = 1;
    expect(gatherRows([source], runs).columns[index]?.data).toEqual(bits);
  });
});

describe('bytesOf()', () => {
  it('counts the buffers of a column and of all below it', async () => {
    const source = await read(Array.from({ length: 10 }, () => randomRow(seededRandom(3))));
    const column = (name: string) =>
      source.columns[source.fields.findIndex((field) => field.name === name)];
    const [id, time] = [column('id'), column('time')];
    if (!id || !time) throw new Error('no column');
    expect([bytesOf(id), bytesOf(time)]).toEqual([160, 80]);
  });
});

describe('countTenants() and keepTenants()', () => {
  it('count and mark rows by tenant', async () => {
    const random = seededRandom(seed + 1);
    const rows = Array.from({ length: 200 }, () => randomRow(random));
    const source = await read(rows);
    const counts = Map.groupBy(rows, ({ TenantId }) => String(TenantId));
    for (const [tenant, count] of countTenants(source, 'f')) {
      expect(count).toBe(counts.get(tenant)?.length);
    }
    const keep = keepTenants({ others: true, named: { acme: false } });
    const marks = rows.map(({ TenantId }) => Number(TenantId !== 'acme'));
    expect([...(keep(source, 'f') ?? [])]).toEqual(marks);
    expect(keepTenants({ others: true, named: { nobody: false } })(source, 'f')).toBeUndefined();
  });
});

describe('FileReader', () => {
  it('throws CORRUPT_ARCHIVE when a row group has other rows than its commit says', async () => {
    const bytes = parquetOf([randomRow(seededRandom(5))]);
    const input = { key: 'f', bytes: bytes.length, groupRows: [2] };
    const reader = new FileReader(async (_, start, end) => bytes.subarray(start, end), input);
    await expect(reader.next()).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
  });
});
