/**
 * A span of the archive in the form in which the read API shows spans: texts are those that the speed
 * tables have, because the archive keeps the same. It reads no file.
 */
import type {
  Attributes,
  Ids,
  Lists,
  Names,
  Numbers,
  RowColumns,
  Texts,
} from '../clients/parquet/rows.ts';

/** As the resource `/traces/{traceId}` has it (edge/api/traces.ts). */
export interface TraceRow {
  /** ISO 8601 with nine digits of a second. */
  readonly time: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly service: string;
  readonly operation: string;
  readonly kind: string;
  readonly status: string;
  readonly statusMessage: string;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
  readonly events: readonly TraceEvent[];
}

interface TraceEvent {
  readonly time: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The spans of one row group, of which all columns were read. */
export class TraceRows {
  readonly #spanIds: Ids;
  readonly #parents: Ids;
  readonly #names: Readonly<Record<'service' | 'operation' | 'kind' | 'status', Names>>;
  readonly #messages: Texts;
  readonly #times: Numbers<BigInt64Array>;
  readonly #durations: Numbers<BigInt64Array>;
  readonly #attributes: Attributes;
  readonly #resources: Attributes;
  readonly #events: Lists;
  readonly #eventTimes: Numbers<BigInt64Array>;
  readonly #eventNames: Texts;
  readonly #eventAttributes: Attributes;

  /** Throws `TidemarkError` CORRUPT_ARCHIVE when a column is missing or of another type. */
  constructor(columns: RowColumns) {
    this.#spanIds = columns.ids('SpanId', 8);
    this.#parents = columns.ids('ParentSpanId', 8);
    this.#names = {
      service: columns.names('ServiceName'),
      operation: columns.names('SpanName'),
      kind: columns.names('SpanKind'),
      status: columns.names('StatusCode'),
    };
    this.#messages = columns.texts('StatusMessage');
    this.#times = columns.longs('Timestamp');
    this.#durations = columns.longs('Duration');
    this.#attributes = columns.attributes('SpanAttributes', 'SpanAttributeKinds');
    this.#resources = columns.attributes('ResourceAttributes', 'ResourceAttributeKinds');
    this.#events = columns.lists('Events.Timestamp');
    this.#eventTimes = columns.longItems('Events.Timestamp');
    this.#eventNames = columns.textItems('Events.Name');
    this.#eventAttributes = columns.attributeItems('Events.Attributes', 'Events.AttributeKinds');
  }

  row(row: number): TraceRow {
    const { service, operation, kind, status } = this.#names;
    return {
      time: isoOf(this.#times.values[row] ?? 0n),
      spanId: hexAt(this.#spanIds, row),
      parentSpanId: this.#parents.isNull(row) ? '' : hexAt(this.#parents, row),
      service: service.text(row),
      operation: operation.text(row),
      kind: kind.text(row),
      status: status.text(row),
      statusMessage: this.#messages.text(row),
      durationMs: Number(BigInt.asUintN(64, this.#durations.values[row] ?? 0n)) / 1e6,
      attributes: recordOf(this.#attributes, row),
      resource: recordOf(this.#resources, row),
      events: this.#eventsOf(row),
    };
  }

  #eventsOf(row: number): TraceEvent[] {
    const events: TraceEvent[] = [];
    for (let event = this.#events.start(row); event < this.#events.end(row); event += 1) {
      events.push({
        time: isoOf(this.#eventTimes.values[event] ?? 0n),
        name: this.#eventNames.text(event),
        attributes: recordOf(this.#eventAttributes, event),
      });
    }
    return events;
  }
}

/** Of a key that is there twice the last value counts, as in the JSON of ClickHouse's maps. */
function recordOf(attributes: Attributes, index: number): Record<string, string> {
  const entries: [string, string][] = [];
  for (let at = attributes.start(index); at < attributes.end(index); at += 1) {
    entries.push([attributes.keys.text(at), attributes.values.text(at)]);
  }
  return Object.fromEntries(entries);
}

function hexAt({ bytes, width }: Ids, row: number): string {
  return Buffer.from(bytes.subarray(row * width, (row + 1) * width)).toString('hex');
}

const secondNs = 1_000_000_000n;

/** As ClickHouse writes a DateTime64(9) with `date_time_output_format` iso. */
function isoOf(timeNs: bigint): string {
  const fraction = ((timeNs % secondNs) + secondNs) % secondNs;
  const seconds = Number((timeNs - fraction) / secondNs);
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  return `${text}.${String(fraction).padStart(9, '0')}Z`;
}
