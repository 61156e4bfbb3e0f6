/**
 * Seeded random ExportTraceServiceRequests with every field of the official protos, in any order,
 * among unknown fields and groups; strings that are not UTF-8, ids of wrong lengths, wild times.
 */
import {
  bytesField,
  fixed32Field,
  fixed64Field,
  groupField,
  message,
  tag,
  varint,
  varintField,
} from './wire.ts';

const nowNs = 1_700_000_000_000_000_000n;
/** When the generated requests are received, ms since 1970. */
export const receivedMs = 1_700_000_000_000;

const texts = [
  '',
  'a',
  'service.name',
  'http.request.method',
  'GET /api/v1/orders/{id}?expand=items&limit=50',
  'x'.repeat(16),
  'y'.repeat(17),
  'z'.repeat(127),
  'w'.repeat(128),
  'long '.repeat(200),
  'naïve café',
  '日本語テキスト',
  '🦆 and \u2028 and \u2029 and \ufffd and \ufeff',
  '"quoted" \\ / \b\f\n\r\t\u0000\u001f\u007f <&>',
];

const invalidTexts = ['ff', '41c0af42', 'e28241', 'f09fa6', 'eda080', 'c3', '80', 'f4908080', 'e0']
  .map((hex) => Buffer.from(hex, 'hex'))
  .concat(Buffer.concat([Buffer.from('long enough to pass sixteen bytes '), Buffer.from([0xe2])]));

const doubles = [0, -0, 1, -1.5, 0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, NaN, Infinity];
const integers = [0n, 1n, -1n, 127n, 128n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];

export class Generator {
  protected readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  request(): Uint8Array {
    return this.message(this.many(3, () => bytesField(1, this.resourceSpans(), this.extra())));
  }

  protected below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  protected chance(probability: number): boolean {
    return this.random() < probability;
  }

  protected pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  protected many(most: number, make: () => Uint8Array): Uint8Array[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  /** Any of these, each with an even chance. */
  protected some(...makers: (() => Uint8Array)[]): Uint8Array[] {
    return makers.filter(() => this.chance(0.6)).map((make) => make());
  }

  protected extra(): number {
    return this.chance(0.05) ? 1 : 0;
  }

  protected bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  protected text(): Uint8Array {
    return this.chance(0.04) ? this.pick(invalidTexts) : Buffer.from(this.pick(texts));
  }

  protected word(): bigint {
    return this.chance(0.5) ? this.pick(integers) : BigInt(this.below(100));
  }

  /** Fields in any order, with an unknown one now and then. */
  protected message(fields: Uint8Array[]): Uint8Array {
    const all = this.chance(0.05) ? [...fields, this.unknown(0)] : [...fields];
    if (this.chance(0.3)) {
      for (let last = all.length - 1; last > 0; last--) {
        const other = this.below(last + 1);
        [all[last], all[other]] = [all[other] ?? all[0], all[last]] as [Uint8Array, Uint8Array];
      }
    }
    return message(...all);
  }

  protected unknown(depth: number): Uint8Array {
    const field = this.pick([100, 1000, 2 ** 29 - 1]);
    const kind = this.below(depth < 4 ? 5 : 4);
    if (kind === 0) return varintField(field, this.word());
    if (kind === 1) return fixed64Field(field, this.word());
    if (kind === 2) return fixed32Field(field, this.below(2 ** 32));
    if (kind === 3) return bytesField(field, this.bytes(this.below(40)));
    return groupField(
      field,
      message(...Array.from({ length: this.below(3) }, () => this.unknown(depth + 1))),
    );
  }

  protected attributes(field: number, most: number): Uint8Array[] {
    return this.many(most, () => bytesField(field, this.keyValue(0), this.extra()));
  }

  protected keyValue(depth: number): Uint8Array {
    return this.message(
      this.some(
        () => bytesField(1, this.text()),
        () => bytesField(2, this.anyValue(depth), this.extra()),
      ),
    );
  }

  protected anyValue(depth: number): Uint8Array {
    if (depth === 0 && this.chance(0.5)) return bytesField(1, this.text());
    if (this.chance(0.05)) return message(varintField(2, 1), bytesField(1, this.text()));
    const kind = this.below(depth < 3 ? 8 : 5);
    if (kind === 0) return this.message([]);
    if (kind === 1) return bytesField(1, this.text());
    if (kind === 2) return varintField(2, this.below(2));
    if (kind === 3) return varintField(3, this.word());
    if (kind === 4) return this.double();
    if (kind === 7) return bytesField(7, this.bytes(this.below(9)));
    return bytesField(kind, this.nested(kind, depth));
  }

  protected nested(kind: number, depth: number): Uint8Array {
    const most = this.chance(0.1) ? 40 : 3;
    if (kind === 5)
      return this.message(this.many(most, () => bytesField(1, this.anyValue(depth + 1))));
    return this.message(this.many(most, () => bytesField(1, this.keyValue(depth + 1))));
  }

  protected double(): Uint8Array {
    const value = Buffer.alloc(8);
    if (this.chance(0.5)) value.writeDoubleLE(this.pick(doubles));
    else value.set(this.bytes(8));
    return message(Uint8Array.from(tag(4, 1)), value);
  }

  protected resourceSpans(): Uint8Array {
    const scopes = this.many(3, () => bytesField(2, this.scopeSpans()));
    const head = this.some(
      () => bytesField(1, this.resource()),
      () => bytesField(3, this.text()),
    );
    return this.message([...head, ...scopes]);
  }

  protected resource(): Uint8Array {
    const service = () =>
      bytesField(1, message(bytesField(1, 'service.name'), bytesField(2, this.anyValue(0))));
    return this.message([
      ...this.some(service, () => varintField(2, this.word())),
      ...(this.chance(0.1) ? [bytesField(3, bytesField(2, 'host'))] : []),
      ...this.attributes(1, 6),
    ]);
  }

  protected scopeSpans(): Uint8Array {
    const spans = this.many(6, () => bytesField(2, this.span(), this.extra()));
    const head = this.some(
      () => bytesField(1, this.scope()),
      () => bytesField(3, this.text()),
    );
    return this.message([...head, ...spans]);
  }

  protected scope(): Uint8Array {
    return this.message([
      ...this.some(
        () => bytesField(1, this.text()),
        () => bytesField(2, this.text()),
        () => varintField(4, this.word()),
      ),
      ...this.attributes(3, 3),
    ]);
  }

  protected id(length: number): Uint8Array {
    if (this.chance(0.03)) return Buffer.alloc(length);
    if (this.chance(0.03)) return this.bytes(this.below(20));
    // Few different ones, so that sorting has ties.
    return this.chance(0.5) ? Buffer.alloc(length, 1 + this.below(4)) : this.bytes(length);
  }

  protected time(): bigint {
    if (this.chance(0.05)) return this.word();
    return nowNs + BigInt(this.below(4 * 3_600_000)) * 1_000_000n - 7_200_000_000_000n;
  }

  protected span(): Uint8Array {
    return this.message([
      bytesField(1, this.id(16)),
      bytesField(2, this.id(8)),
      ...this.some(
        () => bytesField(3, this.text()),
        () => bytesField(4, this.id(8)),
        () => bytesField(5, this.text()),
        () => varintField(6, this.chance(0.1) ? this.word() : this.below(7)),
        () => fixed64Field(7, this.time()),
        () => fixed64Field(8, this.time()),
        () => varintField(10, this.word()),
        () => varintField(12, this.word()),
        () => varintField(14, this.word()),
        () => bytesField(15, this.status()),
        () => fixed32Field(16, this.below(2 ** 32)),
      ),
      ...this.attributes(9, 8),
      ...this.many(3, () => bytesField(11, this.event())),
      ...this.many(2, () => bytesField(13, this.link())),
      ...(this.chance(0.03) ? [bytesField(5, 'again'), varintField(6, 3)] : []),
    ]);
  }

  protected event(): Uint8Array {
    return this.message([
      ...this.some(
        () => fixed64Field(1, this.time()),
        () => bytesField(2, this.text()),
        () => varintField(4, this.word()),
      ),
      ...this.attributes(3, 3),
    ]);
  }

  protected link(): Uint8Array {
    const wrong = this.chance(0.03);
    return this.message([
      bytesField(1, this.bytes(wrong ? this.below(20) : 16)),
      bytesField(2, this.bytes(8)),
      ...this.some(
        () => bytesField(3, this.text()),
        () => varintField(5, this.word()),
        () => fixed32Field(6, this.below(2 ** 32)),
      ),
      ...this.attributes(4, 3),
    ]);
  }

  protected status(): Uint8Array {
    return this.message(
      this.some(
        () => bytesField(2, this.text()),
        () => varintField(3, this.chance(0.1) ? this.word() : this.below(4)),
      ),
    );
  }
}

/** A tag, then a length that is this varint, then nothing. */
export function lengthOf(field: number, length: bigint): Uint8Array {
  return Uint8Array.from([...tag(field, 2), ...varint(length)]);
}
