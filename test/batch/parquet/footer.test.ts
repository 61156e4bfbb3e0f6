/** Tests of the reader of Parquet's metadata: what parquet-wasm wrote, and every cut of it. */
import { describe, expect, it } from 'vitest';
import { parseFooter } from '../../../batch/parquet/footer.ts';
import { pagesOf } from '../../../batch/parquet/pages.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile } from '../../support/spans.ts';

const columns = new Set(['TraceId', 'Duration', 'SpanName']);
const file = writeSpanFile(randomSpans(seededRandom(7), 100), 40);

function footerBytes(): Uint8Array {
  const { bytes } = file;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
  return bytes.subarray(bytes.length - 8 - length, bytes.length - 8);
}

describe('parseFooter()', () => {
  it('finds the row groups, their ends, and the chunks of the columns that are asked for', () => {
    const { rowGroups } = parseFooter(footerBytes(), columns);
    expect(rowGroups.map(({ rows }) => rows)).toEqual([40, 40, 20]);
    expect(rowGroups.map(({ least, greatest }) => [least, greatest])).toEqual(
      file.rowGroups.map(({ idMin, idMax }) => [idMin, idMax]),
    );
    for (const { chunks, rows } of rowGroups) {
      expect(new Set(chunks.keys())).toEqual(columns);
      for (const place of chunks.values()) {
        const { pages } = pagesOf(file.bytes.subarray(place.start, place.end), place);
        expect(pages.reduce((sum, { values }) => sum + values, 0)).toBe(rows);
      }
    }
  });

  it('throws CORRUPT_ARCHIVE for whatever is cut off, and never anything else', () => {
    const bytes = footerBytes();
    for (let length = 0; length < bytes.length; length += 1) {
      try {
        parseFooter(bytes.subarray(0, length), columns);
        expect.unreachable(`${length} bytes are no footer`);
      } catch (error) {
        expect(error).toBeInstanceOf(TidemarkError);
      }
    }
  });
});

describe('pagesOf()', () => {
  it('throws CORRUPT_ARCHIVE for every cut of a chunk', () => {
    const [group] = parseFooter(footerBytes(), columns).rowGroups;
    const place = group?.chunks.get('SpanName');
    if (place === undefined) throw new Error('SpanName has a chunk');
    const chunk = file.bytes.subarray(place.start, place.end);
    for (let length = 0; length < chunk.length; length += 1) {
      expect(() => pagesOf(chunk.subarray(0, length), place)).toThrow(TidemarkError);
    }
  });
});
