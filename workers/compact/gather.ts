/**
 * Puts rows of several batches together into one: whole columns at a time, by runs of rows that
 * follow each other, from buffers to buffers. Never looks at a value, but for dictionary codes.
 */
import { isBytes, isList, widthOf } from './arrow.ts';
import type { ArrowBuffers, ArrowField, ArrowRows } from './arrow.ts';

/** Runs of rows in the order wanted: rows [from, to) of the batch with index `source`. */
export interface Runs {
  count: number;
  rows: number;
  source: Int32Array;
  from: Int32Array;
  to: Int32Array;
}

/** Room for `runsMax` runs. */
export function emptyRuns(runsMax: number): Runs {
  const make = () => new Int32Array(runsMax);
  return { count: 0, rows: 0, source: make(), from: make(), to: make() };
}

/** The rows that the runs name, in their order. All sources must have equal fields. */
export function gatherRows(sources: readonly ArrowRows[], runs: Runs): ArrowRows {
  const fields = sources[0]?.fields ?? [];
  const columns = fields.map((field, index) => {
    const own = sources.map((source) => itemOf(source.columns, index));
    return gather(field, own, runs);
  });
  return { rows: runs.rows, fields, columns };
}

function gather(field: ArrowField, sources: readonly ArrowBuffers[], runs: Runs): ArrowBuffers {
  const { format } = field;
  const nulls = gatherNulls(sources, runs);
  const base = { length: runs.rows, ...nulls, offsets: undefined, children: [] };
  if (field.dictionary) return { ...base, ...gatherDictionary(sources, runs) };
  if (format === 'b') {
    return { ...base, data: gatherBits(sources.map(dataOf), runs), dictionary: undefined };
  }
  const none = { data: new Uint8Array(), dictionary: undefined };
  if (format === '+s') {
    const children = field.children.map((child, index) =>
      gather(
        child,
        sources.map((source) => itemOf(source.children, index)),
        runs,
      ),
    );
    return { ...base, ...none, children };
  }
  if (isBytes(format)) {
    const { offsets, inner } = gatherOffsets(sources, runs);
    return { ...base, offsets, data: gatherData(sources, inner, 1), dictionary: undefined };
  }
  if (isList(format)) {
    const { offsets, inner } = gatherOffsets(sources, runs);
    const items = sources.map((source) => itemOf(source.children, 0));
    return {
      ...base,
      ...none,
      offsets,
      children: [gather(itemOf(field.children, 0), items, inner)],
    };
  }
  const width = widthOf(format);
  if (width === undefined) throw new Error(`Bug: cannot gather values of format "${format}"`);
  return { ...base, data: gatherData(sources, runs, width), dictionary: undefined };
}

function dataOf(source: ArrowBuffers): Uint8Array {
  return source.data;
}

/** Offsets of the rows, and the runs of what lies between them: of consecutive rows it is one. */
function gatherOffsets(sources: readonly ArrowBuffers[], runs: Runs) {
  const offsets = new Int32Array(runs.rows + 1);
  const inner = emptyRuns(runs.count);
  let at = 0;
  let end = 0;
  for (let run = 0; run < runs.count; run += 1) {
    const source = runs.source[run] ?? 0;
    const own = sources[source]?.offsets ?? offsets;
    const from = runs.from[run] ?? 0;
    const to = runs.to[run] ?? 0;
    const first = own[from] ?? 0;
    const last = own[to] ?? 0;
    const shift = end - first;
    for (let row = from + 1; row <= to; row += 1) {
      at += 1;
      offsets[at] = (own[row] ?? 0) + shift;
    }
    end += last - first;
    if (last > first) addRun(inner, source, first, last);
  }
  inner.rows = end;
  return { offsets, inner };
}

function addRun(runs: Runs, source: number, from: number, to: number): void {
  runs.source[runs.count] = source;
  runs.from[runs.count] = from;
  runs.to[runs.count] = to;
  runs.count += 1;
}

/** From this many bytes on a call of `set` is faster than a loop. */
const copiedBytesMin = 64;

/** Values of `width` bytes. */
function gatherData(sources: readonly ArrowBuffers[], runs: Runs, width: number): Uint8Array {
  const target = new Uint8Array(runs.rows * width);
  if (width % 4 === 0) {
    copyWords(
      sources.map(({ data }) => wordsOf(data)),
      runs,
      width / 4,
      wordsOf(target),
    );
  } else {
    copyBytes(sources.map(dataOf), runs, width, target);
  }
  return target;
}

/** Words keep the bits of every value, of a NaN too. */
function wordsOf({ buffer, byteOffset, byteLength }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2);
}

function copyWords(
  sources: readonly Int32Array[],
  runs: Runs,
  wordsEach: number,
  target: Int32Array,
): void {
  let at = 0;
  for (let run = 0; run < runs.count; run += 1) {
    const words = sources[runs.source[run] ?? 0] ?? target;
    const from = (runs.from[run] ?? 0) * wordsEach;
    const to = (runs.to[run] ?? 0) * wordsEach;
    if ((to - from) * 4 >= copiedBytesMin) {
      target.set(words.subarray(from, to), at);
      at += to - from;
      continue;
    }
    for (let word = from; word < to; word += 1) {
      target[at] = words[word] ?? 0;
      at += 1;
    }
  }
}

function copyBytes(
  sources: readonly Uint8Array[],
  runs: Runs,
  width: number,
  target: Uint8Array,
): void {
  let at = 0;
  for (let run = 0; run < runs.count; run += 1) {
    const bytes = sources[runs.source[run] ?? 0] ?? target;
    const from = (runs.from[run] ?? 0) * width;
    const to = (runs.to[run] ?? 0) * width;
    if (to - from >= copiedBytesMin) {
      target.set(bytes.subarray(from, to), at);
      at += to - from;
      continue;
    }
    for (let byte = from; byte < to; byte += 1) {
      target[at] = bytes[byte] ?? 0;
      at += 1;
    }
  }
}

function gatherNulls(sources: readonly ArrowBuffers[], runs: Runs) {
  if (sources.every(({ nullCount }) => nullCount === 0)) {
    return { nullCount: 0, validity: undefined };
  }
  const bits = sources.map(({ validity, length }) => validity ?? allSet(length));
  const validity = gatherBits(bits, runs);
  let valid = 0;
  for (let row = 0; row < runs.rows; row += 1) valid += bitAt(validity, row);
  const nullCount = runs.rows - valid;
  return { nullCount, validity: nullCount > 0 ? validity : undefined };
}

function allSet(length: number): Uint8Array {
  return new Uint8Array((length + 7) >> 3).fill(255);
}

function gatherBits(sources: readonly Uint8Array[], runs: Runs): Uint8Array {
  const target = new Uint8Array((runs.rows + 7) >> 3);
  let at = 0;
  for (let run = 0; run < runs.count; run += 1) {
    const bits = sources[runs.source[run] ?? 0] ?? target;
    const to = runs.to[run] ?? 0;
    for (let row = runs.from[run] ?? 0; row < to; row += 1) {
      if (bitAt(bits, row) === 1) target[at >> 3] = (target[at >> 3] ?? 0) | (1 << (at & 7));
      at += 1;
    }
  }
  return target;
}

function bitAt(bits: Uint8Array, row: number): number {
  return ((bits[row >> 3] ?? 0) >> (row & 7)) & 1;
}

/** Codes for one dictionary of the values that the rows have; equal values get one code. */
function gatherDictionary(sources: readonly ArrowBuffers[], runs: Runs) {
  const merged = new MergedDictionary(sources.map((source) => itemOf([source.dictionary], 0)));
  const data = new Uint8Array(runs.rows * 4);
  const target = wordsOf(data);
  const codesOf = sources.map((source) => wordsOf(source.data));
  let at = 0;
  for (let run = 0; run < runs.count; run += 1) {
    const source = runs.source[run] ?? 0;
    const codes = codesOf[source] ?? target;
    const known = merged.known(source);
    const to = runs.to[run] ?? 0;
    for (let row = runs.from[run] ?? 0; row < to; row += 1) {
      const code = codes[row] ?? 0;
      const own = known[code] ?? -1;
      target[at] = own === -1 ? merged.add(source, code) : own;
      at += 1;
    }
  }
  return { data, dictionary: merged.values() };
}

class MergedDictionary {
  readonly #sources: readonly ArrowBuffers[];
  readonly #known: Int32Array[];
  readonly #codes = new Map<string, number>();
  readonly #values: Buffer[] = [];

  constructor(sources: readonly ArrowBuffers[]) {
    this.#sources = sources;
    this.#known = sources.map(({ length }) => new Int32Array(length).fill(-1));
  }

  /** The new code of each of a source's codes, −1 where there is none yet. */
  known(source: number): Int32Array {
    return itemOf(this.#known, source);
  }

  add(source: number, code: number): number {
    const { offsets, data } = itemOf(this.#sources, source);
    const from = offsets?.[code] ?? 0;
    const bytes = Buffer.from(
      data.buffer,
      data.byteOffset + from,
      (offsets?.[code + 1] ?? 0) - from,
    );
    // One character a byte: exact for any bytes, and no decoding.
    const text = bytes.toString('latin1');
    const own = this.#codes.get(text) ?? this.#values.length;
    if (own === this.#values.length) {
      this.#codes.set(text, own);
      this.#values.push(bytes);
    }
    this.known(source)[code] = own;
    return own;
  }

  values(): ArrowBuffers {
    const offsets = new Int32Array(this.#values.length + 1);
    for (const [index, { length }] of this.#values.entries()) {
      offsets[index + 1] = (offsets[index] ?? 0) + length;
    }
    const data = new Uint8Array(offsets.at(-1) ?? 0);
    for (const [index, value] of this.#values.entries()) data.set(value, offsets[index]);
    const { length } = this.#values;
    const none = { nullCount: 0, validity: undefined, children: [], dictionary: undefined };
    return { ...none, length, offsets, data };
  }
}

function itemOf<T>(items: readonly (T | undefined)[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`Bug: nothing at index ${index}`);
  return item;
}
