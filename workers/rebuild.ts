/**
 * Rebuilds OTLP requests from rows of the archive: protobuf Export*ServiceRequests that say what the
 * items' own requests said, field by field (docs/FIELDS.md). Items of one resource, scope and metric
 * stand together, whoever sent them. It reads no file and sends nothing.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { FieldReader } from '../schemas/field.ts';
import type { RowColumns } from './clients/parquet/rows.ts';
import { LogRows } from './rebuild/log.ts';
import { metricsOf, resourcesOf, scopesOf } from './rebuild/owner.ts';
import type { Owners } from './rebuild/owner.ts';
import { PointRows } from './rebuild/point.ts';
import { SpanRows } from './rebuild/span.ts';
import { ReverseWriter } from './rebuild/writer.ts';

/** Writes the fields of a row's item. */
interface Items {
  write(out: ReverseWriter, row: number): void;
}

const itemsOf: Record<Signal, (columns: RowColumns) => Items> = {
  traces: (columns) => new SpanRows(columns),
  logs: (columns) => new LogRows(columns),
  metrics: (columns) => new PointRows(columns),
};

/** A Metric message that points go into. */
interface MetricShell {
  /** Fields before and after the member of the oneof, which is field `field`. */
  readonly before: Uint8Array;
  readonly field: number;
  /** What the member has besides its points. */
  readonly rest: Uint8Array;
  readonly after: Uint8Array;
}

/** Requests out of the rows of one row group, of which all columns were read. */
export class Rebuilder {
  readonly #items: Items;
  readonly #resources: Owners;
  readonly #scopes: Owners;
  readonly #metrics: Owners | undefined;
  readonly #shells: readonly MetricShell[];
  readonly #tenants: Int32Array;
  readonly #out = new ReverseWriter();

  /** Throws `TidemarkError` CORRUPT_ARCHIVE when a column is missing or of another type. */
  constructor(signal: Signal, columns: RowColumns) {
    this.#items = itemsOf[signal](columns);
    this.#resources = resourcesOf(columns);
    this.#scopes = scopesOf(columns);
    this.#metrics = signal === 'metrics' ? metricsOf(columns) : undefined;
    this.#shells = (this.#metrics?.heads ?? []).map(shellOf);
    this.#tenants = columns.names('TenantId').codes;
  }

  /**
   * The rows in the order in which they make the fewest messages: by tenant, resource, scope and
   * metric, each in the order of its first row of all, then as they are given.
   */
  grouped(rows: readonly number[] | Uint32Array): Uint32Array {
    const keys = [this.#tenants, this.#resources.ids, this.#scopes.ids];
    if (this.#metrics) keys.push(this.#metrics.ids);
    const order = Uint32Array.from(rows, (_, index) => index);
    order.sort((left, right) => {
      for (const key of keys) {
        const difference = (key[rows[left] ?? 0] ?? 0) - (key[rows[right] ?? 0] ?? 0);
        if (difference !== 0) return difference;
      }
      return left - right;
    });
    return order.map((index) => rows[index] ?? 0);
  }

  /** The request that has the items of these rows, which `grouped` put in order. */
  request(rows: Uint32Array): Uint8Array {
    const out = this.#out;
    let last = rows.length;
    while (last > 0) {
      const mark = out.written;
      const resource = this.#resources.ids[rows[last - 1] ?? 0] ?? 0;
      while (last > 0 && this.#resources.ids[rows[last - 1] ?? 0] === resource) {
        last = this.#scope(rows, last, resource);
      }
      writeHead(out, this.#resources, resource);
      out.close(1, mark);
    }
    return out.take();
  }

  /** Writes the scope of the row before `last`, and of those before it that share it. */
  #scope(rows: Uint32Array, last: number, resource: number): number {
    const out = this.#out;
    const mark = out.written;
    const scope = this.#scopes.ids[rows[last - 1] ?? 0] ?? 0;
    let next = last;
    for (; next > 0;) {
      const row = rows[next - 1] ?? 0;
      if (this.#resources.ids[row] !== resource || this.#scopes.ids[row] !== scope) break;
      next = this.#metrics ? this.#metric(rows, next, resource, scope) : this.#item(row, next);
    }
    writeHead(out, this.#scopes, scope);
    out.close(2, mark);
    return next;
  }

  #item(row: number, next: number): number {
    const mark = this.#out.written;
    this.#items.write(this.#out, row);
    this.#out.close(2, mark);
    return next - 1;
  }

  #metric(rows: Uint32Array, last: number, resource: number, scope: number): number {
    const out = this.#out;
    const ids = this.#metrics?.ids ?? new Uint32Array();
    const metric = ids[rows[last - 1] ?? 0] ?? 0;
    const shell = this.#shells[metric];
    if (!shell) throw new Error(`Bug: there is no metric ${metric}`);
    const mark = out.written;
    writeAll(out, shell.after);
    const dataMark = out.written;
    writeAll(out, shell.rest);
    let next = last;
    for (; next > 0; next -= 1) {
      const row = rows[next - 1] ?? 0;
      if (this.#resources.ids[row] !== resource || this.#scopes.ids[row] !== scope) break;
      if (ids[row] !== metric) break;
      const pointMark = out.written;
      this.#items.write(out, row);
      out.close(1, pointMark);
    }
    out.close(shell.field, dataMark);
    writeAll(out, shell.before);
    out.close(2, mark);
    return next;
  }
}

function writeHead(out: ReverseWriter, owners: Owners, id: number): void {
  const head = owners.heads[id];
  if (head) writeAll(out, head);
}

function writeAll(out: ReverseWriter, bytes: Uint8Array): void {
  out.raw(bytes, 0, bytes.length);
}

/** gauge 5, sum 7, histogram 9, exponential_histogram 10, summary 11. */
const dataFields: ReadonlySet<number> = new Set([5, 7, 9, 10, 11]);

/** Takes a Metric message apart at the member of its oneof, of which it has one. */
function shellOf(metric: Uint8Array): MetricShell {
  const field = new FieldReader();
  for (let at = 0; field.read(metric, at, metric.length); at = field.to) {
    if (field.wireType !== 2 || !dataFields.has(field.number)) continue;
    return {
      before: metric.subarray(0, field.from),
      field: field.number,
      rest: metric.subarray(field.contents, field.to),
      after: metric.subarray(field.to),
    };
  }
  throw new TidemarkError('CORRUPT_ARCHIVE', 'Cannot rebuild a metric: it has no kind');
}
