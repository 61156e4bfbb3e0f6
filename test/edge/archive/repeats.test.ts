/** In workerd, where pieces are made; test/aggregator-as/repeats.test.ts has what the archiver makes of it. */
import { expect, it } from 'vitest';
import { Repeats } from '../../../edge/archive/repeats.ts';

/** A request of records of one byte each: fields 1, 2 and 2 around them. */
function requestOf(bytes: readonly number[]): Uint8Array {
  const records = bytes.flatMap((byte) => [0x12, 1, byte]);
  const scope = [0x12, records.length, ...records];
  return Uint8Array.from([0x0a, scope.length, ...scope]);
}

it('Repeats.fieldOf() tells every byte from every other', () => {
  for (let byte = 0; byte < 256; byte += 1) {
    const repeats = new Repeats();
    const others = [byte ^ 1, byte ^ 0x80, byte ^ 0xff];
    expect([...repeats.fieldOf(requestOf([byte]))]).toEqual([0xca, 0xc6, 0x0e, 0]);
    // Of index 3 one came before; the others are new.
    expect([...repeats.fieldOf(requestOf([...others, byte]))]).toEqual([0xca, 0xc6, 0x0e, 2, 3, 1]);
  }
});
