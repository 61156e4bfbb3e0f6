/** Writes rows of `signal=logs` files as LogRecord messages; docs/FIELDS.md says which column is what. */
import type {
  Attributes,
  Ids,
  Names,
  Numbers,
  RowColumns,
  Texts,
} from '../clients/parquet/rows.ts';
import { writeAnyValue, writeAttributes, writeText } from './attributes.ts';
import type { ReverseWriter } from './writer.ts';

export class LogRows {
  readonly #raw: Texts;
  readonly #time: Numbers<BigInt64Array>;
  readonly #observed: Numbers<BigInt64Array>;
  readonly #traceId: Ids;
  readonly #spanId: Ids;
  readonly #flags: Numbers<Uint32Array>;
  readonly #severityText: Names;
  readonly #severity: Numbers<Int32Array>;
  readonly #body: Texts;
  readonly #bodyKind: Numbers<Uint32Array>;
  readonly #eventName: Names;
  readonly #attributes: Attributes;
  readonly #dropped: Numbers<Uint32Array>;

  constructor(columns: RowColumns) {
    this.#raw = columns.texts('LogOtlp');
    this.#time = columns.longs('Time');
    this.#observed = columns.longs('ObservedTime');
    this.#traceId = columns.ids('TraceId', 16);
    this.#spanId = columns.ids('SpanId', 8);
    this.#flags = columns.uint32('Flags');
    this.#severityText = columns.names('SeverityText');
    this.#severity = columns.int32('SeverityNumber');
    this.#body = columns.texts('Body');
    this.#bodyKind = columns.uint32('BodyKind');
    this.#eventName = columns.names('EventName');
    this.#attributes = columns.attributes('LogAttributes', 'LogAttributeKinds');
    this.#dropped = columns.uint32('DroppedAttributesCount');
  }

  /** Writes the fields of the row's LogRecord (logs.proto). */
  write(out: ReverseWriter, row: number): void {
    if (!this.#raw.isNull(row)) {
      out.raw(this.#raw.bytes, this.#raw.start(row), this.#raw.end(row));
      return;
    }
    const attributes = this.#attributes;
    writeText(out, 12, this.#eventName.values, this.#eventName.code(row));
    if (!this.#observed.isNull(row)) out.fixed64Unless0(11, this.#observed.values[row]);
    if (!this.#spanId.isNull(row)) out.id(10, this.#spanId, row);
    if (!this.#traceId.isNull(row)) out.id(9, this.#traceId, row);
    out.fixed32Unless0(8, this.#flags.values[row]);
    out.varintUnless0(7, this.#dropped.values[row]);
    writeAttributes(out, 6, attributes, attributes.start(row), attributes.end(row));
    writeAnyValue(out, 5, this.#body, row, this.#bodyKind.values[row] ?? 0);
    writeText(out, 3, this.#severityText.values, this.#severityText.code(row));
    out.int32Unless0(2, this.#severity.values[row]);
    if (!this.#time.isNull(row)) out.fixed64Unless0(1, this.#time.values[row]);
  }
}
