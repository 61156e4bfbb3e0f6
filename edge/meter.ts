/**
 * Counts what one isolate does and prints it in the Prometheus text format (version 0.0.4). Label
 * values come from closed sets alone, so that the number of series is bounded.
 */

interface Family {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
}

const families = {
  requests_total: { type: 'counter', help: 'Requests to the OTLP paths, by HTTP status' },
  items_accepted_total: {
    type: 'counter',
    help: 'Valid items by signal, quarantined ones included',
  },
  items_rejected_total: { type: 'counter', help: 'Invalid items, by signal and reason' },
  items_quarantined_total: { type: 'counter', help: 'Valid items whose time is too far off' },
  durations_clamped_total: { type: 'counter', help: 'Spans that end before they start' },
  strings_invalid_utf8_total: { type: 'counter', help: 'Strings that are not UTF-8, by signal' },
  sink_total: { type: 'counter', help: 'Batches given to a sink, by sink and result' },
  drain_objects_total: { type: 'counter', help: 'Spool objects the drain tried, by result' },
  groups_total: { type: 'counter', help: 'Groups of requests that were committed as one' },
  grouped_requests_total: { type: 'counter', help: 'Requests in those groups' },
  in_flight_bytes: { type: 'gauge', help: 'Bytes of requests being worked on' },
} as const satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;

/** What was counted, as plain data: family, labels, amount. */
export type MeterReading = readonly (readonly [FamilyName, string, number])[];

/** Counters and gauges of one isolate. */
export class Meter {
  readonly #values = new Map<FamilyName, Map<string, number>>();

  /** Adds `amount` to a counter; `labels` is what stands between the braces. */
  add(name: FamilyName, amount = 1, labels = ''): void {
    const series = this.#values.get(name) ?? new Map<string, number>();
    series.set(labels, (series.get(labels) ?? 0) + amount);
    this.#values.set(name, series);
  }

  /** Sets a gauge. */
  set(name: FamilyName, value: number): void {
    this.#values.set(name, new Map([['', value]]));
  }

  /** Gives what was counted so far and begins anew: for an object that others report for. */
  take(): MeterReading {
    const reading = [...this.#values].flatMap(([name, series]) =>
      [...series].map(([labels, value]) => [name, labels, value] as const),
    );
    this.#values.clear();
    return reading;
  }

  /** Adds what another meter gave. */
  merge(reading: MeterReading): void {
    for (const [name, labels, value] of reading) this.add(name, value, labels);
  }

  /** All families in the text format; those that were never touched have no series. */
  text(): string {
    return Object.entries(families)
      .map(([name, { type, help }]) => {
        const full = `tidemark_edge_${name}`;
        const series = [...(this.#values.get(name as FamilyName) ?? [])].map(
          ([labels, value]) => `${full}${labels === '' ? '' : `{${labels}}`} ${value}\n`,
        );
        return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${series.join('')}`;
      })
      .join('');
  }
}
