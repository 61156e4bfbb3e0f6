import { describe, expect, it } from 'vitest';
import { Splitter } from '../../../workers/gateway/split.ts';

const stream = Buffer.from(
  [
    '{}',
    ' {"a":{"b":[{}]}}\r\n',
    String.raw`{"brace":"}{","quote":"\"}","slash":"\\","both":"\\\""}`,
    '\t{"text":"ü€𝄞","data":"QUJD"}\n',
  ].join(''),
);
const objects = [
  {},
  { a: { b: [{}] } },
  { brace: '}{', quote: '"}', slash: '\\', both: '\\"' },
  { text: 'ü€𝄞', data: 'QUJD' },
];

const parse = (pieces: readonly Buffer[], bytesMax = 1000): { all: unknown[]; end: boolean } => {
  const splitter = new Splitter(bytesMax);
  const all = pieces.flatMap((piece) =>
    [...splitter.push(piece)].map((object) => JSON.parse(object.toString()) as unknown),
  );
  return { all, end: splitter.isComplete };
};

describe('Splitter', () => {
  it('gives the objects of a stream, whatever separates them', () => {
    expect(parse([stream])).toEqual({ all: objects, end: true });
  });

  it('gives the same for every split into three', () => {
    for (let a = 0; a <= stream.length; a += 1) {
      for (let b = a; b <= stream.length; b += 1) {
        const pieces = [stream.subarray(0, a), stream.subarray(a, b), stream.subarray(b)];
        expect(parse(pieces).all, `${a}, ${b}`).toEqual(objects);
      }
    }
  });

  it('gives the same byte by byte', () => {
    const bytes = Array.from(stream, (byte) => Buffer.from([byte]));
    expect(parse(bytes)).toEqual({ all: objects, end: true });
  });

  it('knows that every truncation within an object is incomplete', () => {
    const object = Buffer.from(String.raw`{"a":"\"x","b":{"c":1}}`);
    for (let end = 1; end < object.length; end += 1) {
      expect(parse([object.subarray(0, end)]), `${end}`).toEqual({ all: [], end: false });
    }
  });

  it.each(['[1]', '"x"', '{}]', '{},{}', 'x', '{} 1'])('refuses %j with 400', (text) => {
    expect(() => parse([Buffer.from(text)])).toThrow(
      expect.objectContaining({ status: 400 }) as Error,
    );
  });

  it('refuses an object of one byte more than its bound with 413, after those before it', () => {
    const fits = Buffer.from(`{"a":"${'x'.repeat(12)}"}`);
    expect(fits.length).toBe(20);
    expect(parse([fits, fits], 20).all.length).toBe(2);
    const seen: Buffer[] = [];
    const take = (): void => {
      for (const object of new Splitter(19).push(Buffer.concat([Buffer.from('{}'), fits]))) {
        seen.push(object);
      }
    };
    expect(take).toThrow(expect.objectContaining({ status: 413 }) as Error);
    expect(seen.length).toBe(1);
    expect(() => parse([Buffer.from(`{"a":"${'x'.repeat(14)}`)], 19)).toThrow('19 bytes');
  });
});
