/**
 * Gives each row its resource, its scope and its metric: the messages that items share, each once, as
 * the bytes that they begin with. Rows of equal owners get equal numbers.
 */
import type { Attributes, Names, Numbers, RowColumns, Texts } from '../clients/parquet/rows.ts';
import { writeAttributes, writeText } from './attributes.ts';
import { ReverseWriter } from './writer.ts';

/** Numbers of the rows' owners, in the order of their first rows, and what each begins with. */
export interface Owners {
  readonly ids: Uint32Array;
  readonly heads: readonly Uint8Array[];
}

/** ResourceSpans, ResourceLogs, ResourceMetrics without scopes: resource (1) and schema_url (3). */
export function resourcesOf(columns: RowColumns): Owners {
  const owner = new EntityRows(columns, 'Resource');
  const service = columns.names('ServiceName');
  return numbered(columns.rows, {
    hint: (row) => service.code(row),
    equal: (left, right) => owner.equal(left, right),
    write: (out, row) => owner.write(out, row),
  });
}

/** ScopeSpans, ScopeLogs, ScopeMetrics without items: scope (1) and schema_url (3). */
export function scopesOf(columns: RowColumns): Owners {
  const owner = new EntityRows(columns, 'Scope');
  const name = columns.names('ScopeName');
  const version = columns.names('ScopeVersion');
  return numbered(columns.rows, {
    hint: (row) => name.code(row),
    equal: (left, right) =>
      name.code(left) === name.code(right) &&
      version.code(left) === version.code(right) &&
      owner.equal(left, right),
    write: (out, row) =>
      owner.write(out, row, () => {
        writeText(out, 2, version.values, version.code(row));
        writeText(out, 1, name.values, name.code(row));
      }),
  });
}

/** Metric messages without their points: the member of the oneof is there, and what else it has. */
export function metricsOf(columns: RowColumns): Owners {
  const metric = new MetricRows(columns);
  return numbered(columns.rows, {
    hint: (row) => metric.hint(row),
    equal: (left, right) => metric.equal(left, right),
    write: (out, row) => metric.write(out, row),
  });
}

interface Owned {
  /** Rows whose owners differ here have different owners. */
  hint(row: number): number;
  equal(left: number, right: number): boolean;
  write(out: ReverseWriter, row: number): void;
}

/**
 * Most rows have the owner of the row before that has the same hint: those are recognised without
 * being written. The others are written and compared as bytes.
 */
function numbered(rows: number, owned: Owned): Owners {
  const ids = new Uint32Array(rows);
  const heads: Uint8Array[] = [];
  const known = new Map<string, number>();
  const latest = new Map<number, number>();
  const out = new ReverseWriter();
  for (let row = 0; row < rows; row += 1) {
    const hint = owned.hint(row);
    const before = latest.get(hint);
    latest.set(hint, row);
    if (before !== undefined && owned.equal(before, row)) {
      ids[row] = ids[before] ?? 0;
      continue;
    }
    owned.write(out, row);
    const head = out.take();
    const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
    let id = known.get(text);
    if (id === undefined) {
      id = heads.push(head) - 1;
      known.set(text, id);
    }
    ids[row] = id;
  }
  return { ids, heads };
}

/** A resource or a scope, and the schema URL that stands beside it. */
class EntityRows {
  readonly #raw: Texts;
  readonly #attributes: Attributes;
  readonly #attributesField: number;
  readonly #dropped: Numbers<Uint32Array>;
  readonly #droppedField: number;
  readonly #schemaUrl: Names;

  constructor(columns: RowColumns, owner: 'Resource' | 'Scope') {
    this.#raw = columns.texts(`${owner}Otlp`);
    this.#attributes = columns.attributes(`${owner}Attributes`, `${owner}AttributeKinds`);
    this.#dropped = columns.uint32(`${owner}DroppedAttributesCount`);
    this.#schemaUrl = columns.names(`${owner}SchemaUrl`);
    // Resource: attributes 1, dropped 2. InstrumentationScope: attributes 3, dropped 4.
    this.#attributesField = owner === 'Resource' ? 1 : 3;
    this.#droppedField = owner === 'Resource' ? 2 : 4;
  }

  equal(left: number, right: number): boolean {
    return (
      this.#schemaUrl.code(left) === this.#schemaUrl.code(right) &&
      this.#dropped.values[left] === this.#dropped.values[right] &&
      this.#raw.equal(left, right) &&
      this.#attributes.equal(left, right)
    );
  }

  /** Nothing is written for an empty message: the archive does not tell it from none. */
  write(out: ReverseWriter, row: number, writeFirst: () => void = () => undefined): void {
    writeText(out, 3, this.#schemaUrl.values, this.#schemaUrl.code(row));
    const mark = out.written;
    if (this.#raw.isNull(row)) {
      const attributes = this.#attributes;
      const [from, to] = [attributes.start(row), attributes.end(row)];
      out.varintUnless0(this.#droppedField, this.#dropped.values[row]);
      writeAttributes(out, this.#attributesField, attributes, from, to);
      writeFirst();
    } else {
      out.raw(this.#raw.bytes, this.#raw.start(row), this.#raw.end(row));
    }
    if (out.written > mark) out.close(1, mark);
  }
}

/** Field numbers of the Metric's oneof, by the name of the kind. */
const dataFields: Readonly<Record<string, number>> = {
  Gauge: 5,
  Sum: 7,
  Histogram: 9,
  ExponentialHistogram: 10,
  Summary: 11,
};

class MetricRows {
  readonly #raw: Texts;
  readonly #name: Names;
  readonly #description: Names;
  readonly #unit: Names;
  readonly #type: Names;
  readonly #temporality: Numbers<Int32Array>;
  readonly #isMonotonic: Uint8Array;
  readonly #metadata: Attributes;

  constructor(columns: RowColumns) {
    this.#raw = columns.texts('MetricOtlp');
    this.#name = columns.names('MetricName');
    this.#description = columns.names('MetricDescription');
    this.#unit = columns.names('MetricUnit');
    this.#type = columns.names('MetricType');
    this.#temporality = columns.int32('AggregationTemporality');
    this.#isMonotonic = columns.bits('IsMonotonic');
    this.#metadata = columns.attributes('MetricMetadata', 'MetricMetadataKinds');
  }

  hint(row: number): number {
    return this.#name.code(row);
  }

  equal(left: number, right: number): boolean {
    return (
      [this.#name, this.#description, this.#unit, this.#type].every(
        (names) => names.code(left) === names.code(right),
      ) &&
      this.#temporality.values[left] === this.#temporality.values[right] &&
      this.#monotonic(left) === this.#monotonic(right) &&
      this.#raw.equal(left, right) &&
      this.#metadata.equal(left, right)
    );
  }

  write(out: ReverseWriter, row: number): void {
    if (!this.#raw.isNull(row)) {
      out.raw(this.#raw.bytes, this.#raw.start(row), this.#raw.end(row));
      return;
    }
    const metadata = this.#metadata;
    writeAttributes(out, 12, metadata, metadata.start(row), metadata.end(row));
    const mark = out.written;
    out.varintUnless0(3, this.#monotonic(row));
    out.int32Unless0(2, this.#temporality.values[row]);
    const kind = this.#type.text(row);
    const field = dataFields[kind];
    if (field === undefined) throw new Error(`Bug: no metric is of kind "${kind}"`);
    out.close(field, mark);
    writeText(out, 3, this.#unit.values, this.#unit.code(row));
    writeText(out, 2, this.#description.values, this.#description.code(row));
    writeText(out, 1, this.#name.values, this.#name.code(row));
  }

  #monotonic(row: number): number {
    return ((this.#isMonotonic[row >> 3] ?? 0) >> (row & 7)) & 1;
  }
}
