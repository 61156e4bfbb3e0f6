/**
 * Reads JSON (RFC 8259) token by token from bytes. It makes no objects and no strings on the way;
 * a token is a range of bytes. Bytes of strings that are not UTF-8 pass as they are.
 */
import { DecodeError } from '../../schemas/errors.ts';
import { jsonDepthMax } from '../../schemas/limits.ts';
import type { Wire } from './wire.ts';

export const quote = 34;
export const comma = 44;
export const colon = 58;
export const bracketOpen = 91;
export const bracketClose = 93;
export const braceOpen = 123;
export const braceClose = 125;

const backslash = 92;
const minus = 45;
const digit0 = 48;

/** What a backslash and this letter stand for (RFC 8259, section 7); `u` is not among them. */
const escapes = new Map(
  Array.from('"\\/bfnrt', (letter, index) => [
    letter.charCodeAt(0),
    '"\\/\b\f\n\r\t'.charCodeAt(index),
  ]),
);

/** A position in JSON text, and the last token that was read there. */
export class Scan {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;
  /** The last string or number: `token[tokenFrom, tokenTo)`, escapes decoded. */
  token: Uint8Array;
  tokenFrom = 0;
  tokenTo = 0;

  /** Starts after a byte order mark, if there is one. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.token = bytes;
    this.end = bytes.length;
    this.at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  }

  /** Skips white space and returns the next byte, without taking it. Throws at the end. */
  next(): number {
    const { bytes } = this;
    let at = this.at;
    let byte = bytes[at];
    while (byte === 32 || byte === 10 || byte === 13 || byte === 9) {
      at += 1;
      byte = bytes[at];
    }
    this.at = at;
    return byte ?? this.fail('the text ends early');
  }

  /** Takes the next byte, which must be `byte`. */
  expect(byte: number): void {
    if (this.next() !== byte) this.fail(`wanted "${String.fromCharCode(byte)}"`);
    this.at += 1;
  }

  /** Whether only white space is left. */
  atEnd(): boolean {
    let { at } = this;
    while (at < this.end && isSpace(this.bytes[at])) at += 1;
    return at >= this.end;
  }

  /** Takes a string and makes its bytes the token. */
  string(): void {
    this.expect(quote);
    const from = this.at;
    const to = this.#plainEnd(from);
    if (this.bytes[to] === quote) {
      this.token = this.bytes;
      this.tokenFrom = from;
      this.tokenTo = to;
      this.at = to + 1;
      return;
    }
    // Escapes never make a string longer, so its bytes up to the closing quote are enough.
    const decoded = new Uint8Array(this.#closingQuote(to) - from);
    let length = 0;
    this.#escaped(from, (byte) => {
      decoded[length] = byte;
      length += 1;
    });
    this.token = decoded;
    this.tokenFrom = 0;
    this.tokenTo = length;
  }

  /** Takes the string whose bytes are `text` and returns true, or takes nothing. */
  takesString(text: Uint8Array): boolean {
    const { bytes } = this;
    const from = this.at + 1;
    const { length } = text;
    if (bytes[from + length] !== quote || bytes[this.at] !== quote) return false;
    for (let index = 0; index < length; index += 1) {
      if (bytes[from + index] !== text[index]) return false;
    }
    this.at = from + length + 1;
    return true;
  }

  /** Takes a string and writes it with its length before it. */
  stringTo(wire: Wire): void {
    this.expect(quote);
    const from = this.at;
    const to = this.#plainEnd(from);
    if (this.bytes[to] === quote) {
      wire.varint(to - from);
      wire.copy(this.bytes, from, to);
      this.at = to + 1;
      return;
    }
    const start = wire.open(1);
    this.#escaped(from, (byte) => wire.byte(byte));
    wire.close(start, 1);
  }

  /** Takes a number and makes its bytes the token (RFC 8259, section 6). */
  number(): void {
    const from = this.at;
    if (this.bytes[this.at] === minus) this.at += 1;
    if (this.bytes[this.at] === digit0) this.at += 1;
    else this.#digits();
    if (this.bytes[this.at] === 46) {
      this.at += 1;
      this.#digits();
    }
    const exponent = this.bytes[this.at];
    if (exponent === 101 || exponent === 69) {
      this.at += 1;
      const sign = this.bytes[this.at];
      if (sign === 43 || sign === minus) this.at += 1;
      this.#digits();
    }
    this.token = this.bytes;
    this.tokenFrom = from;
    this.tokenTo = this.at;
  }

  /** Takes `true`, `false` or `null`, whichever `word` is. */
  word(word: string): void {
    for (let index = 0; index < word.length; index += 1) {
      if (this.bytes[this.at] !== word.charCodeAt(index)) this.fail(`wanted ${word}`);
      this.at += 1;
    }
  }

  /** Takes a value of any kind, checking only that it is JSON. */
  skip(depth = 0): void {
    if (depth > jsonDepthMax) this.fail(`values are nested deeper than ${jsonDepthMax}`);
    const byte = this.next();
    if (byte === quote) this.#skipString();
    else if (byte === braceOpen) this.#skipObject(depth);
    else if (byte === bracketOpen) this.#skipArray(depth);
    else if (byte === 116) this.word('true');
    else if (byte === 102) this.word('false');
    else if (byte === 110) this.word('null');
    else this.number();
  }

  /** After an element: takes a comma and returns true, or takes `close` and returns false. */
  more(close: number): boolean {
    const byte = this.next();
    if (byte !== comma && byte !== close) {
      this.fail(`wanted "," or "${String.fromCharCode(close)}"`);
    }
    this.at += 1;
    return byte === comma;
  }

  /** Throws `DecodeError` at the current byte. */
  fail(message: string): never {
    throw new DecodeError(`Cannot read JSON: ${message}`, Math.min(this.at, this.end));
  }

  #skipObject(depth: number): void {
    this.at += 1;
    if (this.next() === braceClose) {
      this.at += 1;
      return;
    }
    do {
      if (this.next() !== quote) this.fail('wanted a field name');
      this.#skipString();
      this.expect(colon);
      this.skip(depth + 1);
    } while (this.more(braceClose));
  }

  #skipArray(depth: number): void {
    this.at += 1;
    if (this.next() === bracketClose) {
      this.at += 1;
      return;
    }
    do this.skip(depth + 1);
    while (this.more(bracketClose));
  }

  #skipString(): void {
    this.at += 1;
    const to = this.#plainEnd(this.at);
    if (this.bytes[to] === quote) this.at = to + 1;
    else this.#escaped(this.at, ignoreByte);
  }

  /** Index of the first quote or backslash from `from` on. Throws at a control character. */
  #plainEnd(from: number): number {
    const { bytes, end } = this;
    let at = from;
    while (at < end) {
      const byte = bytes[at] ?? 0;
      if (byte === quote || byte === backslash) return at;
      if (byte < 32) break;
      at += 1;
    }
    this.at = at;
    return this.fail(at >= end ? 'a string has no end' : 'a string holds a control character');
  }

  /** Index of the quote that closes the string which holds the backslash at `from`. */
  #closingQuote(from: number): number {
    let at = from;
    while (at < this.end && this.bytes[at] !== quote) {
      at += this.bytes[at] === backslash ? 2 : 1;
    }
    return at;
  }

  /** Takes the rest of a string from `from`, past its closing quote, giving each byte to `put`. */
  #escaped(from: number, put: (byte: number) => void): void {
    this.at = from;
    for (;;) {
      const to = this.#plainEnd(this.at);
      for (let at = this.at; at < to; at += 1) put(this.bytes[at] ?? 0);
      this.at = to + 1;
      if (this.bytes[to] === quote) return;
      const letter = this.bytes[this.at] ?? 0;
      const plain = escapes.get(letter);
      if (plain !== undefined) {
        put(plain);
        this.at += 1;
      } else if (letter === 117) {
        this.at += 1;
        putUtf8(this.#codePoint(), put);
      } else {
        this.fail('a backslash stands before an unknown letter');
      }
    }
  }

  /** Takes the digits of `\u`, and of a second one when the two are a surrogate pair. */
  #codePoint(): number {
    const unit = this.#hex4();
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    const paired = this.bytes[this.at] === backslash && this.bytes[this.at + 1] === 117;
    if (unit > 0xdbff || !paired) return 0xfffd;
    const back = this.at;
    this.at += 2;
    const low = this.#hex4();
    if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    this.at = back;
    return 0xfffd;
  }

  #hex4(): number {
    let value = 0;
    for (let count = 0; count < 4; count += 1) {
      const digit = hexDigit(this.bytes[this.at] ?? 0);
      if (digit < 0) this.fail('a \\u escape needs four hex digits');
      value = value * 16 + digit;
      this.at += 1;
    }
    return value;
  }

  #digits(): void {
    const from = this.at;
    for (;;) {
      const byte = this.bytes[this.at] ?? 0;
      if (byte < digit0 || byte > 57) break;
      this.at += 1;
    }
    if (this.at === from) this.fail('wanted a value');
  }
}

/** The value of a hex digit of either case, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function putUtf8(codePoint: number, put: (byte: number) => void): void {
  if (codePoint < 0x80) {
    put(codePoint);
    return;
  }
  const following = codePoint < 0x800 ? 1 : codePoint < 0x10000 ? 2 : 3;
  // The lead byte starts with as many ones as the character has bytes (RFC 3629, section 3).
  put(((0xff00 >> (following + 1)) & 0xff) | (codePoint >> (6 * following)));
  for (let rest = following - 1; rest >= 0; rest -= 1) put(0x80 | ((codePoint >> (6 * rest)) & 63));
}

function isSpace(byte: number | undefined): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}

function ignoreByte(): void {}
