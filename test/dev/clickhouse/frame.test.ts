/** ClickHouse's frames, by those that the Go driver's library writes. */
import { describe, expect, it } from 'vitest';
import { cityHash128 } from '../../../dev/clickhouse/city.ts';
import { framed, unframed } from '../../../dev/clickhouse/frame.ts';
import { clickHouseBodyBytesMax, clickHouseFrameBytes } from '../../../schemas/limits/dev.ts';

/** github.com/ClickHouse/ch-go 0.71.0, compress/_golden: "Hello!\n" 25 times. */
const plain = 'Hello!\n'.repeat(25);
const golden: [string, string][] = [
  ['lz4', 'xby8B8EexHH9dK+NWw8AxYImAAAArwAAAH9IZWxsbyEKBwCCAJMAAJoAsGxvIQpIZWxsbyEK'],
  ['zstd', 'Fne4RipIN0iAQOh9544NCZAlAAAArwAAACi1L/0EAH0AADhIZWxsbyEKAVQHAyslBes9ygY='],
];

/** What `unframed` makes of chunks. */
async function read(...chunks: Buffer[]): Promise<string> {
  let text = '';
  async function* sent(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  for await (const data of unframed(sent())) text += data.toString();
  return text;
}

const refused = (clickhouseCode: number) => expect.objectContaining({ clickhouseCode });

describe('unframed()', () => {
  it.each(golden)('%s: reads frames however they are cut', async (_method, base64) => {
    const frame = Buffer.from(base64, 'base64');
    expect(await read(frame, frame)).toBe(plain + plain);
    const two = Buffer.concat([frame, frame]);
    for (let cut = 0; cut <= two.length; cut += 1) {
      expect(await read(two.subarray(0, cut), two.subarray(cut)), `${cut}`).toBe(plain + plain);
    }
  });

  it.each(golden)(
    '%s: refuses every truncation and every changed byte',
    async (_method, base64) => {
      const frame = Buffer.from(base64, 'base64');
      for (let at = 1; at < frame.length; at += 1) {
        await expect(read(frame.subarray(0, at)), `${at}`).rejects.toThrow(refused(271));
      }
      for (let at = 0; at < frame.length; at += 1) {
        const damaged = Buffer.from(frame);
        damaged[at] = (damaged[at] ?? 0) ^ 1;
        await expect(read(damaged), `${at}`).rejects.toThrow('DB::Exception');
      }
    },
  );

  it('refuses a frame of more than a body before it is there', async () => {
    const frame = Buffer.from(golden[0]?.[1] ?? '', 'base64');
    frame.writeUInt32LE(clickHouseBodyBytesMax + 1, 21);
    await expect(read(frame)).rejects.toThrow(refused(229));
    frame.writeUInt32LE(8, 17);
    frame.writeUInt32LE(8, 21);
    await expect(read(frame)).rejects.toThrow(refused(271));
  });

  it('refuses a method that it does not know', async () => {
    // A delta codec; the frame is right otherwise.
    const frame = framed(Buffer.from('abc'));
    frame[16] = 0x92;
    const [low, high] = cityHash128(frame.subarray(16));
    frame.writeBigUInt64LE(low, 0);
    frame.writeBigUInt64LE(high, 8);
    await expect(read(frame)).rejects.toThrow(refused(89));
  });
});

describe('framed()', () => {
  it('makes the frame that the driver makes when it does not compress', () => {
    // compress/_golden/data_compressed_none.
    const head = '/O0HuMVZ6YwWYRcPbFJy3wK4AAAArwAAAA==';
    const frame = Buffer.concat([Buffer.from(head, 'base64'), Buffer.from(plain)]);
    expect(framed(Buffer.from(plain))).toEqual(frame);
    expect(framed(new Uint8Array(0))).toHaveLength(0);
  });

  it('makes several frames of much', async () => {
    const text = 'x'.repeat(clickHouseFrameBytes + 1);
    expect(framed(Buffer.from(text))).toHaveLength(text.length + 2 * 25);
    expect(await read(framed(Buffer.from(text)))).toBe(text);
  });
});
