import { describe, expect, it } from 'vitest';
import { RemoteFile } from '../../../../workers/clients/parquet/remote.ts';
import { footerBytesGuess, rangeGapBytesMax } from '../../../../schemas/limits/batch.ts';

const object = Uint8Array.from({ length: 1_000_000 }, (_, index) => (index * 31) & 255);

describe('RemoteFile', () => {
  it('slice() answers with the bytes that were asked for', async () => {
    const { file } = open();
    const slices = await Promise.all([bytesOf(file, 5, 9), bytesOf(file, 300_000, 300_001)]);
    expect(slices).toEqual([object.slice(5, 9), object.slice(300_000, 300_001)]);
  });

  it('slice() joins neighbours of one turn into one request, and keeps far ones apart', async () => {
    const { file, requests } = open();
    const near = 1000 + rangeGapBytesMax;
    const far = near + 10 + rangeGapBytesMax + 1;
    const asked = [
      bytesOf(file, far, far + 10),
      bytesOf(file, 0, 1000),
      bytesOf(file, near, near + 10),
    ];
    const slices = await Promise.all(asked);
    expect(requests).toEqual([
      [0, near + 10],
      [far, far + 10],
    ]);
    expect(slices[0]).toEqual(object.slice(far, far + 10));
    expect(slices[2]).toEqual(object.slice(near, near + 10));
  });

  it('slice() reads the tail of the file once, for the footer and what lies beside it', async () => {
    const { file, requests } = open();
    await bytesOf(file, object.length - 8, object.length);
    await bytesOf(file, object.length - 5000, object.length - 8);
    expect(await bytesOf(file, object.length - 5000, object.length - 4000)).toEqual(
      object.slice(-5000, -4000),
    );
    expect(requests).toEqual([[object.length - footerBytesGuess, object.length]]);
  });

  it('reads a file smaller than the tail with one request', async () => {
    const requests: number[][] = [];
    const file = new RemoteFile(
      async (_, start, end) => {
        requests.push([start, end]);
        return object.subarray(start, end);
      },
      'small',
      100,
    );
    await Promise.all([bytesOf(file, 92, 100), bytesOf(file, 0, 10)]);
    expect(requests).toEqual([[0, 100]]);
  });

  it('fault rejects with the cause, while the slice stays pending', async () => {
    const cause = new Error('gone');
    const file = new RemoteFile(() => Promise.reject(cause), 'key', 1000);
    const slice = bytesOf(file, 0, 10);
    await expect(file.fault).rejects.toBe(cause);
    const pending = new Promise((resolve) => setTimeout(resolve, 20, 'pending'));
    expect(await Promise.race([slice, pending])).toBe('pending');
  });

  it('fault rejects when the store answers with fewer bytes', async () => {
    const file = new RemoteFile(() => Promise.resolve(new Uint8Array(5)), 'key', 1000);
    void bytesOf(file, 0, 10);
    await expect(file.fault).rejects.toMatchObject({
      code: 'CORRUPT_ARCHIVE',
      message: 'Cannot read "key": it has fewer bytes than its commit says',
    });
  });
});

function open() {
  const requests: [number, number][] = [];
  const read = async (_: string, start: number, end: number) => {
    requests.push([start, end]);
    return object.subarray(start, end);
  };
  return { file: new RemoteFile(read, 'key', object.length), requests };
}

async function bytesOf(file: RemoteFile, start: number, end: number): Promise<Uint8Array> {
  return new Uint8Array(await file.slice(start, end).arrayBuffer());
}
