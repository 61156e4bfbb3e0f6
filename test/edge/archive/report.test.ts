/** Answers of proxies as they were seen on the wire or as their documentation has them. */
import { describe, expect, it } from 'vitest';
import { fatesV2, fatesV3 } from '../../../edge/archive/report.ts';
import type { Fate } from '../../../edge/archive/report.ts';

const s = 'stored';
const f = 'failed';
const u = 'unknown';

describe('fatesV2()', () => {
  it.each<[string, number, string, Fate[]]>([
    [
      'Karapace: no error keys',
      200,
      '{"key_schema_id":null,"value_schema_id":null,"offsets":[{"offset":3,"partition":0},{"offset":4,"partition":0}]}',
      [s, s],
    ],
    [
      'Confluent: errors that are null',
      200,
      '{"offsets":[{"partition":0,"offset":0,"error_code":null,"error":null},{"partition":1,"offset":7,"error_code":null,"error":null}]}',
      [s, s],
    ],
    [
      'Confluent: 200 though a record failed',
      200,
      '{"offsets":[{"partition":null,"offset":null,"error_code":50003,"error":"x"},{"partition":1,"offset":7,"error_code":null,"error":null}]}',
      [f, s],
    ],
    [
      'Karapace: 422, and other records stored',
      422,
      '{"offsets":[{"offset":5,"partition":0},{"error":"x","error_code":2}]}',
      [s, f],
    ],
    ['an error without a code', 200, '{"offsets":[{"offset":1,"error":"x"},{"offset":2}]}', [f, s]],
    ['offset -1: nobody knows', 200, '{"offsets":[{"offset":-1},{"offset":2}]}', [u, s]],
    ['entries that are nothing', 200, '{"offsets":[null,{}]}', [u, u]],
    ['fewer entries than records', 200, '{"offsets":[{"offset":1}]}', [u, u]],
    ['more entries', 200, '{"offsets":[{"offset":1},{"offset":2},{"offset":3}]}', [u, u]],
    ['no entries', 200, '{}', [u, u]],
    ['a page', 200, '<html></html>', [u, u]],
    ['nothing', 200, '', [u, u]],
    ['202', 202, '{"offsets":[{"offset":1},{"offset":2}]}', [u, u]],
    [
      '404 unknown topic',
      404,
      '{"error_code":40401,"message":"Topic otlp_spans not found"}',
      [f, f],
    ],
    ['413', 413, '{"error_code":413,"message":"too large"}', [f, f]],
    ['422 for the whole request', 422, '{"error_code":422,"message":"x"}', [f, f]],
    ['429', 429, '', [f, f]],
    ['500: may be stored', 500, '{"error_code":500}', [u, u]],
    ['503', 503, '', [u, u]],
  ])('fatesV2() of %s', (_what, status, text, fates) => {
    expect(fatesV2({ status, text, isCut: false }, 2)).toEqual(fates);
  });

  it('fatesV2() believes nothing of an answer that was cut', () => {
    const text = '{"offsets":[{"offset":1},{"offset":2}]}';
    expect(fatesV2({ status: 200, text, isCut: true }, 2)).toEqual([u, u]);
  });
});

/** The report of a record that is stored. */
function stored(offset: number): string {
  const size = '"key":{"type":"BINARY","size":10}';
  return `{"error_code":200,"cluster_id":"c","topic_name":"t","partition_id":0,"offset":${offset},${size}}`;
}

describe('fatesV3()', () => {
  const limited = '{"error_code":429,"message":"rate \\"limit\\" } exceeded"}';

  it.each<[string, number, string, Fate[]]>([
    ['a report each', 200, `${stored(0)}${stored(1)}${stored(2)}`, [s, s, s]],
    ['lines', 200, `${stored(0)}\r\n${stored(1)}\n\n${stored(2)}\n`, [s, s, s]],
    ['one that was limited', 200, `${stored(0)}${limited}${stored(1)}`, [s, f, s]],
    ['no error code', 200, `{"offset":1}${stored(0)}${stored(1)}`, [u, s, s]],
    ['no offset', 200, `{"error_code":200}${stored(0)}${stored(1)}`, [u, s, s]],
    ['offset -1', 200, `${stored(-1)}${stored(0)}${stored(1)}`, [u, s, s]],
    ['fewer reports', 200, `${stored(0)}${stored(1)}`, [u, u, u]],
    ['more reports', 200, `${stored(0)}${stored(1)}${stored(2)}${stored(3)}`, [u, u, u]],
    ['an array', 200, `[${stored(0)},${stored(1)},${stored(2)}]`, [s, s, s]],
    ['a page', 200, '<html>{</html>', [u, u, u]],
    ['404', 404, '{"error_code":40403,"message":"no topic"}', [f, f, f]],
    ['429 for the whole request', 429, limited, [f, f, f]],
    ['502', 502, '', [u, u, u]],
  ])('fatesV3() of %s', (_what, status, text, fates) => {
    expect(fatesV3({ status, text, isCut: false }, 3)).toEqual(fates);
  });

  it('fatesV3() believes the reports that came before the stream was cut, wherever', () => {
    const text = `${stored(7)}${limited}${stored(8)}`;
    const [first, second] = [stored(7).length, stored(7).length + limited.length];
    for (let end = 0; end < text.length; end += 1) {
      const fates = fatesV3({ status: 200, text: text.slice(0, end), isCut: true }, 3);
      expect(fates).toEqual([end < first ? u : s, end < second ? u : f, u]);
    }
  });
});
