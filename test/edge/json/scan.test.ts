/** Checks the JSON scanner against the runtime's own JSON parser. */
import { describe, expect, it } from 'vitest';
import { hexDigit, Scan } from '../../../edge/json/scan.ts';
import { Wire } from '../../../edge/json/wire.ts';
import { random } from '../random.ts';

const utf8 = new TextEncoder();

function accepts(text: string): boolean {
  const scan = new Scan(utf8.encode(text));
  try {
    scan.skip();
    return scan.atEnd();
  } catch {
    return false;
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('Scan', () => {
  it('skip() accepts exactly what JSON.parse() accepts, on seeded random text', () => {
    const seed = 20_261_127;
    const next = random(seed);
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"\\u00e9"',
      '"\\q"',
      '1',
      '-',
      '0.5',
      '1e',
      '01',
      'true',
      'nul',
      'null',
      ' ',
      '"',
      '\\',
      '\n',
    ];
    let accepted = 0;
    for (let count = 0; count < 30_000; count += 1) {
      const length = 1 + Math.floor(next() * 7);
      const picks = Array.from({ length }, () => pieces[Math.floor(next() * pieces.length)]);
      const text = picks.join('');
      expect(accepts(text), `${JSON.stringify(text)}, seed ${seed}`).toBe(parses(text));
      if (accepts(text)) accepted += 1;
    }
    expect(accepted).toBeGreaterThan(500);
  });

  it('string() and stringTo() decode every escape as JSON.parse() does', () => {
    const text = String.raw`"\"\\\/\b\f\n\r\t\u0041\u00e9\u65e5\ud83c\udf89 é日🎉 \u0000"`;
    const expected = JSON.parse(text) as string;
    const scan = new Scan(utf8.encode(text));
    scan.string();
    const token = scan.token.subarray(scan.tokenFrom, scan.tokenTo);
    expect(new TextDecoder().decode(token)).toBe(expected);
    const wire = new Wire(1, 1000);
    new Scan(utf8.encode(text)).stringTo(wire);
    expect(new TextDecoder().decode(wire.written().subarray(1))).toBe(expected);
    expect(wire.written()[0]).toBe(utf8.encode(expected).length);
  });

  it('string() decodes every code point that is escaped', () => {
    for (let point = 0; point < 0x110000; point += 97) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const character = String.fromCodePoint(point);
      const escaped = Array.from({ length: character.length }, (_value, index) =>
        character.charCodeAt(index).toString(16).padStart(4, '0'),
      );
      const scan = new Scan(utf8.encode(`"${escaped.map((unit) => `\\u${unit}`).join('')}"`));
      scan.string();
      const token = scan.token.subarray(scan.tokenFrom, scan.tokenTo);
      expect(token).toEqual(utf8.encode(character));
    }
  });

  it('number() takes the longest number', () => {
    const scan = new Scan(utf8.encode('-12.5e+3,'));
    scan.number();
    expect([scan.tokenFrom, scan.tokenTo]).toEqual([0, 8]);
  });
});

describe('hexDigit()', () => {
  it('hexDigit() knows the digits of either case and nothing else', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      const letter = String.fromCharCode(byte);
      const value = /[0-9a-fA-F]/.test(letter) ? Number.parseInt(letter, 16) : -1;
      expect(hexDigit(byte)).toBe(value);
    }
  });
});
