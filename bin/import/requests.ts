/** Makes of a file's record the requests that are spooled: protobuf, of a known signal, not too large. */
import { split } from '../../edge/archive/split.ts';
import { jsonToProtobuf } from '../../edge/json.ts';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { importObjectBytesMax, importRecordBytesMax } from '../../schemas/limits/replay.ts';
import type { ImportRequest } from '../../workers/import.ts';
import type { FileRecord } from './records.ts';
import { isRequest, latestMs, requestTypes, signalOfJson, signalsOfProtobuf } from './signal.ts';

export class Requests {
  readonly #given: Signal | undefined;
  readonly #nowMs: number;
  /** The signal of the protobuf record before, which one that could be two is of. */
  #before: Signal | undefined;

  /** `given` is the signal of all protobuf records, if it need not be found out. */
  constructor(given: Signal | undefined, nowMs: number) {
    this.#given = given;
    this.#nowMs = nowMs;
  }

  /**
   * The requests of a record; none when it has no items. `fileMs` is when it counts as received
   * where its items have no time. Throws `DecodeError`, and `TidemarkError` BAD_OTLP where the
   * signal cannot be told or an item is too large.
   */
  of(record: FileRecord, fileMs: number): ImportRequest[] {
    const found = record.form === 'json' ? this.#json(record.bytes) : this.#protobuf(record.bytes);
    if (!found) return [];
    const { signal, request } = found;
    const receivedMs = latestMs(signal, request, this.#nowMs) || fileMs;
    const pieces = split(signal, request, importObjectBytesMax);
    return pieces.map((piece, index) => ({
      signal,
      request: piece.bytes(),
      receivedMs,
      piece: pieces.length > 1 ? index : undefined,
    }));
  }

  #json(json: Uint8Array): { signal: Signal; request: Uint8Array } | undefined {
    const signal = signalOfJson(json) ?? this.#given ?? 'traces';
    const request = jsonToProtobuf(requestTypes[signal], json, importRecordBytesMax);
    return request.length === 0 ? undefined : { signal, request };
  }

  #protobuf(request: Uint8Array): { signal: Signal; request: Uint8Array } | undefined {
    if (this.#given) return { signal: this.#given, request };
    const possible = signalsOfProtobuf(request);
    if (possible.length === 3 && isRequest(request)) return undefined;
    const [only] = possible;
    const signal = possible.length === 1 ? only : possible.find((one) => one === this.#before);
    if (!signal) {
      const text = 'Cannot tell of which signal this is: give --signal';
      throw new TidemarkError('BAD_OTLP', text);
    }
    this.#before = signal;
    return { signal, request };
  }
}
