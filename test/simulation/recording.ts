/**
 * In the place of the decoder and the Parquet writer: requests that say which items they hold, and
 * files that say which items they hold. So a judge can read both without either.
 */
import { DecodeError, TidemarkError } from '../../schemas/errors.ts';
import type { PendingFile } from '../../workers/flush/commit.ts';
import type { EncoderLender } from '../../workers/context.ts';
import type { Added, AddOptions, FlushEncoder, RawRecord } from '../../workers/flush/encode.ts';
import type { Machine } from './world.ts';

const hourLengthMs = 3_600_000;

/** Items of a request: the start of each one's event hour, or -1 for one of a wild time. */
export interface RecordedRequest {
  readonly id: number;
  readonly hours: readonly number[];
}

/** One row of a file: where its item is from, and the id of the request and its index in it. */
export type RecordedRow = readonly [partition: number, offset: number, index: number, id: number];

export function encodeRequest(request: RecordedRequest | 'broken'): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(request));
}

export function decodeFile(bytes: Uint8Array): RecordedRow[] {
  return JSON.parse(new TextDecoder().decode(bytes)) as RecordedRow[];
}

export function encodeFile(rows: readonly RecordedRow[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(rows));
}

/** What an item is sorted by, as 32 hexadecimal digits. */
export function idOf([, , index, id]: RecordedRow): string {
  return (id * 100 + index).toString(16).padStart(32, '0');
}

/** What a commit says of a file of such rows beside their number. They must be sorted. */
export function describeRows(rows: readonly RecordedRow[], hourMs: number) {
  const [first, last] = [rows[0], rows.at(-1)];
  const [idMin, idMax] = [first ? idOf(first) : '', last ? idOf(last) : ''];
  const timeMinNs = BigInt(hourMs) * 1_000_000n;
  const rowGroups = [{ rows: rows.length, idMin, idMax }];
  return { timeMinNs, timeMaxNs: timeMinNs, rowGroups };
}

interface Hour {
  readonly hourMs: number;
  readonly quarantined: boolean;
  readonly rows: RecordedRow[];
}

/** A flush with room for so many rows. */
class RecordingEncoder implements FlushEncoder {
  readonly times = { decodeMs: 0, sortMs: 0, encodeMs: 0 };
  readonly #machine: Machine;
  readonly #rowsMax: number;
  readonly #hours = new Map<string, Hour>();
  #rows = 0;

  constructor(machine: Machine, rowsMax: number) {
    this.#machine = machine;
    this.#rowsMax = rowsMax;
  }

  async add(records: readonly RawRecord[], options: AddOptions): Promise<Added> {
    await this.#work();
    const dead: { index: number; error: TidemarkError }[] = [];
    let count = 0;
    for (const record of records) {
      const room = this.#rows < options.rowsMax ? this.#decode(record, options) : 'full';
      if (room === 'full') break;
      if (room) dead.push({ index: count, error: room });
      count += 1;
    }
    const rejected = dead.length > 0 ? { undecodable_request: dead.length } : {};
    const rows = this.#rows;
    return { count, full: count < records.length, rows, dead, rejected, counts: [] };
  }

  async *files(): AsyncGenerator<PendingFile, void, undefined> {
    for (const { hourMs, quarantined, rows } of this.#hours.values()) {
      await this.#work();
      rows.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
      const counts = { bytes: encodeFile(rows), rows: rows.length };
      yield { ...counts, hourMs, quarantined, ...describeRows(rows, hourMs) };
    }
  }

  /** Why the record cannot be archived, if it cannot. */
  #decode(record: RawRecord, options: AddOptions): TidemarkError | 'full' | undefined {
    const text = new TextDecoder().decode(record.request);
    const decoded = JSON.parse(text) as RecordedRequest | 'broken';
    if (decoded === 'broken') return new DecodeError('Cannot decode: broken', 0);
    const { id, hours } = decoded;
    if (this.#rows + hours.length > this.#rowsMax) {
      return this.#rows > 0 ? 'full' : new TidemarkError('CAPACITY', 'Cannot decode: no room');
    }
    for (const [index, hour] of hours.entries()) {
      const kept = this.#hourOf(hour, record.receivedMs);
      kept.rows.push([options.partitionNumber, Number(record.offset), index, id]);
    }
    this.#rows += hours.length;
    return undefined;
  }

  #hourOf(hour: number, receivedMs: number): Hour {
    const quarantined = hour === -1;
    const hourMs = quarantined ? Math.floor(receivedMs / hourLengthMs) * hourLengthMs : hour;
    const name = `${hourMs}${quarantined ? 'q' : ''}`;
    const kept = this.#hours.get(name) ?? { hourMs, quarantined, rows: [] };
    this.#hours.set(name, kept);
    return kept;
  }

  /** It takes its time, in which anything may happen. */
  #work(): Promise<void> {
    return new Promise((resolve) => {
      this.#machine.answer(this.#machine.world.between(0, 50), resolve);
    });
  }
}

/** Lends a new flush to one at a time. */
export function recordingEncoders(machine: Machine, rowsMax: number): EncoderLender {
  let last: Promise<unknown> = Promise.resolve();
  return {
    use: (_, task) => {
      const turn = last.then(() => task(new RecordingEncoder(machine, rowsMax)));
      last = turn.catch(() => undefined);
      return turn;
    },
    close: () => Promise.resolve(),
  };
}
