/** Writes rows of `signal=traces` files as Span messages; docs/FIELDS.md says which column is what. */
import type {
  Attributes,
  Ids,
  Lists,
  Names,
  Numbers,
  RowColumns,
  Texts,
} from '../clients/parquet/rows.ts';
import { writeAttributes, writeText } from './attributes.ts';
import type { ReverseWriter } from './writer.ts';

export class SpanRows {
  readonly #raw: Texts;
  readonly #traceId: Ids;
  readonly #spanId: Ids;
  readonly #parentSpanId: Ids;
  readonly #traceState: Texts;
  readonly #flags: Numbers<Uint32Array>;
  readonly #name: Names;
  readonly #kind: Numbers<Int32Array>;
  readonly #start: Numbers<BigInt64Array>;
  readonly #end: Numbers<BigInt64Array>;
  readonly #statusCode: Numbers<Int32Array>;
  readonly #statusMessage: Texts;
  readonly #attributes: Attributes;
  readonly #dropped: Numbers<Uint32Array>;
  readonly #droppedEvents: Numbers<Uint32Array>;
  readonly #droppedLinks: Numbers<Uint32Array>;
  readonly #events: EventRows;
  readonly #links: LinkRows;

  constructor(columns: RowColumns) {
    this.#raw = columns.texts('SpanOtlp');
    this.#traceId = columns.ids('TraceId', 16);
    this.#spanId = columns.ids('SpanId', 8);
    this.#parentSpanId = columns.ids('ParentSpanId', 8);
    this.#traceState = columns.texts('TraceState');
    this.#flags = columns.uint32('Flags');
    this.#name = columns.names('SpanName');
    this.#kind = columns.int32('SpanKindNumber');
    this.#start = columns.longs('Timestamp');
    this.#end = columns.longs('EndTimestamp');
    this.#statusCode = columns.int32('StatusCodeNumber');
    this.#statusMessage = columns.texts('StatusMessage');
    this.#attributes = columns.attributes('SpanAttributes', 'SpanAttributeKinds');
    this.#dropped = columns.uint32('DroppedAttributesCount');
    this.#droppedEvents = columns.uint32('DroppedEventsCount');
    this.#droppedLinks = columns.uint32('DroppedLinksCount');
    this.#events = new EventRows(columns);
    this.#links = new LinkRows(columns);
  }

  /** Writes the fields of the row's Span (trace.proto). */
  write(out: ReverseWriter, row: number): void {
    if (!this.#raw.isNull(row)) {
      out.raw(this.#raw.bytes, this.#raw.start(row), this.#raw.end(row));
      return;
    }
    const attributes = this.#attributes;
    out.fixed32Unless0(16, this.#flags.values[row]);
    this.#status(out, row);
    out.varintUnless0(14, this.#droppedLinks.values[row]);
    this.#links.write(out, row);
    out.varintUnless0(12, this.#droppedEvents.values[row]);
    this.#events.write(out, row);
    out.varintUnless0(10, this.#dropped.values[row]);
    writeAttributes(out, 9, attributes, attributes.start(row), attributes.end(row));
    out.fixed64Unless0(8, this.#end.values[row]);
    out.fixed64Unless0(7, this.#start.values[row]);
    out.int32Unless0(6, this.#kind.values[row]);
    writeText(out, 5, this.#name.values, this.#name.code(row));
    if (!this.#parentSpanId.isNull(row)) out.id(4, this.#parentSpanId, row);
    writeText(out, 3, this.#traceState, row);
    out.id(2, this.#spanId, row);
    out.id(1, this.#traceId, row);
  }

  #status(out: ReverseWriter, row: number): void {
    const mark = out.written;
    out.int32Unless0(3, this.#statusCode.values[row]);
    writeText(out, 2, this.#statusMessage, row);
    if (out.written > mark) out.close(15, mark);
  }
}

class EventRows {
  readonly #lists: Lists;
  readonly #time: Numbers<BigInt64Array>;
  readonly #name: Texts;
  readonly #attributes: Attributes;
  readonly #dropped: Uint32Array;

  constructor(columns: RowColumns) {
    this.#lists = columns.lists('Events.Timestamp');
    this.#time = columns.longItems('Events.Timestamp');
    this.#name = columns.textItems('Events.Name');
    this.#attributes = columns.attributeItems('Events.Attributes', 'Events.AttributeKinds');
    this.#dropped = columns.uint32Items('Events.DroppedAttributesCount');
  }

  write(out: ReverseWriter, row: number): void {
    const attributes = this.#attributes;
    for (let event = this.#lists.end(row) - 1; event >= this.#lists.start(row); event -= 1) {
      const mark = out.written;
      out.varintUnless0(4, this.#dropped[event]);
      writeAttributes(out, 3, attributes, attributes.start(event), attributes.end(event));
      writeText(out, 2, this.#name, event);
      out.fixed64Unless0(1, this.#time.values[event]);
      out.close(11, mark);
    }
  }
}

class LinkRows {
  readonly #lists: Lists;
  readonly #traceId: Ids;
  readonly #spanId: Ids;
  readonly #traceState: Texts;
  readonly #attributes: Attributes;
  readonly #dropped: Uint32Array;
  readonly #flags: Uint32Array;

  constructor(columns: RowColumns) {
    this.#lists = columns.lists('Links.TraceId');
    this.#traceId = columns.idItems('Links.TraceId', 16);
    this.#spanId = columns.idItems('Links.SpanId', 8);
    this.#traceState = columns.textItems('Links.TraceState');
    this.#attributes = columns.attributeItems('Links.Attributes', 'Links.AttributeKinds');
    this.#dropped = columns.uint32Items('Links.DroppedAttributesCount');
    this.#flags = columns.uint32Items('Links.Flags');
  }

  write(out: ReverseWriter, row: number): void {
    const attributes = this.#attributes;
    for (let link = this.#lists.end(row) - 1; link >= this.#lists.start(row); link -= 1) {
      const mark = out.written;
      out.fixed32Unless0(6, this.#flags[link]);
      out.varintUnless0(5, this.#dropped[link]);
      writeAttributes(out, 4, attributes, attributes.start(link), attributes.end(link));
      writeText(out, 3, this.#traceState, link);
      out.id(2, this.#spanId, link);
      out.id(1, this.#traceId, link);
      out.close(13, mark);
    }
  }
}
