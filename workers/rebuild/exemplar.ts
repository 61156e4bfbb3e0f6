/** Writes the exemplars of data points (metrics.proto). */
import type { Attributes, Ids, Lists, Numbers, RowColumns } from '../clients/parquet/rows.ts';
import { writeAttributes } from './attributes.ts';
import type { ReverseWriter } from './writer.ts';

/** Field numbers of the value's oneof, which are the kinds. */
const doubleKind = 3;
const intKind = 6;

export class ExemplarRows {
  readonly #lists: Lists;
  readonly #time: Numbers<BigInt64Array>;
  readonly #kinds: Uint8Array;
  readonly #value: BigInt64Array;
  readonly #valueInt: Numbers<BigInt64Array>;
  readonly #spanId: Ids;
  readonly #traceId: Ids;
  readonly #attributes: Attributes;

  constructor(columns: RowColumns) {
    this.#lists = columns.lists('Exemplars.TimeUnix');
    this.#time = columns.longItems('Exemplars.TimeUnix');
    this.#kinds = columns.byteItems('Exemplars.ValueKinds');
    this.#value = columns.doubleBitItems('Exemplars.Value');
    this.#valueInt = columns.longItems('Exemplars.ValueInt');
    this.#spanId = columns.idItems('Exemplars.SpanId', 8);
    this.#traceId = columns.idItems('Exemplars.TraceId', 16);
    this.#attributes = columns.attributeItems(
      'Exemplars.FilteredAttributes',
      'Exemplars.FilteredAttributeKinds',
    );
  }

  /** Writes the row's exemplars as fields `field`. */
  write(out: ReverseWriter, field: number, row: number): void {
    const attributes = this.#attributes;
    for (let index = this.#lists.end(row) - 1; index >= this.#lists.start(row); index -= 1) {
      const mark = out.written;
      writeAttributes(out, 7, attributes, attributes.start(index), attributes.end(index));
      if (!isZero(this.#traceId, index)) out.id(5, this.#traceId, index);
      if (!isZero(this.#spanId, index)) out.id(4, this.#spanId, index);
      const kind = this.#kinds[index];
      if (kind === intKind) out.fixed64(intKind, this.#valueInt.values[index] ?? 0n);
      if (kind === doubleKind) out.fixed64(doubleKind, this.#value[index] ?? 0n);
      out.fixed64Unless0(2, this.#time.values[index]);
      out.close(field, mark);
    }
  }
}

/** An id of zeros stands for none. */
function isZero(ids: Ids, index: number): boolean {
  for (let at = index * ids.width; at < (index + 1) * ids.width; at += 1) {
    if (ids.bytes[at] !== 0) return false;
  }
  return true;
}
