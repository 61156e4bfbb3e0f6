/**
 * Counts what happens and prints it in the Prometheus text format (version 0.0.4). Label values come
 * from closed sets, and tenants from the first hundred, so that the number of series is bounded. An
 * isolate has one meter; a request fills one of its own, which is then merged into it.
 */
import { meteredTenantsMax } from '../schemas/limits.ts';

interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
}

const families = {
  requests_total: { type: 'counter', help: 'Requests to any path, by HTTP status' },
  exports_total: { type: 'counter', help: 'OTLP requests, by signal and outcome' },
  export_seconds: { type: 'histogram', help: 'Time from an OTLP request to its answer' },
  received_bytes_total: { type: 'counter', help: 'Bytes of inflated bodies, by signal' },
  items_accepted_total: {
    type: 'counter',
    help: 'Valid items by signal, quarantined ones included',
  },
  items_rejected_total: { type: 'counter', help: 'Invalid items, by signal and reason' },
  items_quarantined_total: { type: 'counter', help: 'Valid items whose time is too far off' },
  durations_clamped_total: { type: 'counter', help: 'Spans that end before they start' },
  strings_invalid_utf8_total: { type: 'counter', help: 'Strings that are not UTF-8, by signal' },
  sink_total: { type: 'counter', help: 'Batches given to a sink, by sink and result' },
  sink_seconds: { type: 'histogram', help: 'Time from a call of a service to its answer' },
  records_total: { type: 'counter', help: 'Records for Kafka, by what became of them' },
  breaker_opened_total: { type: 'counter', help: 'Times that a sink was given a rest, by sink' },
  spool_objects: { type: 'gauge', help: 'Objects that wait in R2 at the last drain, by leg' },
  spool_bytes: { type: 'gauge', help: 'Their bytes, by leg' },
  spool_oldest_age_seconds: { type: 'gauge', help: 'Age of the oldest of them, by leg' },
  drain_objects_total: { type: 'counter', help: 'Spool objects the drain tried, by result' },
  notes_total: { type: 'counter', help: 'Notes for the ledger, by what became of them' },
  groups_total: { type: 'counter', help: 'Groups of requests that were committed as one' },
  grouped_requests_total: { type: 'counter', help: 'Requests in those groups' },
  in_flight_bytes: { type: 'gauge', help: 'Bytes of requests being worked on' },
} as const satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;

/** Upper bounds of the histograms' buckets, in seconds. */
const bucketBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Which part of a histogram a number is: its sum, or the count of one bucket by its index. */
type Part = 'sum' | number;

/** What was counted, as plain data: family, labels, amount, and the part of a histogram. */
export type MeterReading = readonly (readonly [FamilyName, string, number, Part?])[];

/** The numbers of one family under one set of labels. */
type Series = Map<Part | 'value', number>;

export class Meter {
  readonly #values = new Map<FamilyName, Map<string, Series>>();
  readonly #tenants = new Set<string>();

  /** Adds `amount` to a counter; `labels` is what stands between the braces. */
  add(name: FamilyName, amount = 1, labels = ''): void {
    this.#add(name, labels, 'value', amount);
  }

  /** Adds one observation to a histogram. */
  observe(name: FamilyName, seconds: number, labels = ''): void {
    const index = bucketBounds.findIndex((bound) => seconds <= bound);
    this.#add(name, labels, index < 0 ? bucketBounds.length : index, 1);
    this.#add(name, labels, 'sum', seconds);
  }

  /** Sets a gauge; `labels` is what stands between the braces. */
  set(name: FamilyName, value: number, labels = ''): void {
    const all = this.#values.get(name) ?? new Map<string, Series>();
    this.#values.set(name, all.set(labels, new Map([['value', value]])));
  }

  /** Gives what was counted so far and begins anew: for an object that others report for. */
  take(): MeterReading {
    const reading: MeterReading[number][] = [];
    for (const [name, all] of this.#values) {
      for (const [labels, series] of all) {
        for (const [part, value] of series) {
          reading.push(part === 'value' ? [name, labels, value] : [name, labels, value, part]);
        }
      }
    }
    this.#values.clear();
    return reading;
  }

  /** Adds what another meter gave; with a tenant, under its label. */
  merge(reading: MeterReading, tenantId?: string): void {
    const tenant = tenantId === undefined ? '' : `tenant="${this.#bounded(tenantId)}"`;
    for (const [name, own, value, part] of reading) {
      const comma = own === '' || tenant === '' ? '' : ',';
      this.#add(name, own + comma + tenant, part ?? 'value', value);
    }
  }

  /** All families in the text format; those that were never touched have no series. */
  text(): string {
    return Object.entries<Family>(families)
      .map(([name, { type, help }]) => {
        const full = `tidemark_edge_${name}`;
        const all = [...(this.#values.get(name as FamilyName) ?? [])];
        const lines = all.flatMap(([labels, series]) =>
          type === 'histogram'
            ? histogram(full, labels, series)
            : [line(full, labels, series.get('value') ?? 0)],
        );
        return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`;
      })
      .join('');
  }

  #add(name: FamilyName, labels: string, part: Part | 'value', amount: number): void {
    let all = this.#values.get(name);
    if (all === undefined) this.#values.set(name, (all = new Map<string, Series>()));
    let series = all.get(labels);
    if (series === undefined) all.set(labels, (series = new Map<Part | 'value', number>()));
    series.set(part, (series.get(part) ?? 0) + amount);
  }

  /** The label of a tenant: its name, or `other` for those that came after a hundred more. */
  #bounded(tenantId: string): string {
    if (this.#tenants.size < meteredTenantsMax) this.#tenants.add(tenantId);
    // No tenant's name has a capital, so this is none of them.
    return this.#tenants.has(tenantId) ? tenantId : 'OTHER';
  }
}

/** The lines of one histogram; its buckets count all that is at most their bound. */
function histogram(full: string, labels: string, series: Series): string[] {
  let count = 0;
  const buckets = [...bucketBounds, '+Inf'].map((bound, index) => {
    count += series.get(index) ?? 0;
    const inner = [labels, `le="${bound}"`].filter((text) => text !== '').join(',');
    return line(`${full}_bucket`, inner, count);
  });
  const sum = line(`${full}_sum`, labels, series.get('sum') ?? 0);
  return [...buckets, sum, line(`${full}_count`, labels, count)];
}

function line(name: string, labels: string, value: number): string {
  return `${name}${labels === '' ? '' : `{${labels}}`} ${value}\n`;
}
