/** Checks the reading of bodies; the limits on whole requests are in serve.test.ts. */
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../edge/lease.ts';
import { viewOf } from '../../edge/lend.ts';
import { mediaTypeOf, receive } from '../../edge/receive.ts';

const limits = { bodyBytesMax: 100, inflatedBytesMax: 100 };
const headers = { 'content-type': 'application/json' };

function request(body: BodyInit): Request {
  return new Request('http://edge/', { method: 'POST', body, headers });
}

/** A request of 200 bytes that says so. */
function sized(mediaType: string): Request {
  return new Request('http://edge/', {
    method: 'POST',
    body: new Uint8Array(200),
    headers: { 'content-type': mediaType, 'content-length': '200' },
  });
}

describe('receive()', () => {
  it('receive() joins chunks and counts them in the lease', async () => {
    const ledger = new Ledger(1000, () => 0);
    const chunks = ['{', '"a":1', '}'];
    const body = new ReadableStream({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(chunk));
      },
    });
    const received = await receive(request(body), limits, ledger.lease());
    expect(new TextDecoder().decode(viewOf(received.body))).toBe('{"a":1}');
    expect(received.mediaType).toBe('application/json');
    expect(ledger.bytes).toBe(7);
  });

  it('receive() gives the same body at every split of what was sent, in every encoding', async () => {
    const text = `{"resourceSpans":[{"scopeSpans":[]}]}`.repeat(4);
    const plain = new TextEncoder().encode(text);
    const most = { bodyBytesMax: 1000, inflatedBytesMax: 1000 };
    const encodings = {
      identity: plain,
      gzip: zlib.gzipSync(plain),
      deflate: zlib.deflateSync(plain),
      zstd: zlib.zstdCompressSync(plain),
    };
    for (const [encoding, sent] of Object.entries(encodings)) {
      for (let cut = 0; cut <= sent.length; cut += 1) {
        const stream = new ReadableStream<Uint8Array>({
          start(controller) {
            for (const part of [sent.subarray(0, cut), sent.subarray(cut)]) {
              if (part.length > 0) controller.enqueue(new Uint8Array(part));
            }
            controller.close();
          },
        });
        const split = new Request('http://edge/', {
          method: 'POST',
          body: stream,
          headers: { ...headers, 'content-encoding': encoding },
        });
        const received = await receive(split, most, new Ledger(9000, () => 0).lease());
        const body = new TextDecoder().decode(viewOf(received.body));
        expect(body, `${encoding} at ${cut}`).toBe(text);
      }
    }
  });

  it('receive() says when the connection ends early', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.error(new Error('reset'));
      },
    });
    const receiving = receive(request(body), limits, new Ledger(1000, () => 0).lease());
    await expect(receiving).rejects.toMatchObject({ code: 'BAD_ENCODING', retryable: true });
  });

  it('receive() refuses a body before it is read when others leave no room for it', async () => {
    const ledger = new Ledger(1000, () => 0);
    ledger.lease().take(800);
    let pulls = 0;
    const body = new ReadableStream({ pull: () => void (pulls += 1) }, { highWaterMark: 0 });
    const large = new Request('http://edge/', {
      method: 'POST',
      body,
      headers: { ...headers, 'content-length': '90' },
    });
    await expect(receive(large, limits, ledger.lease())).rejects.toMatchObject({
      code: 'OVERLOADED',
    });
    expect(pulls).toBe(0);
    expect(ledger.bytes).toBe(800);
  });

  it('receive() leaves room for the protobuf of JSON as well', async () => {
    // Three times as much is held for protobuf, four times for JSON: 600 and 800 of 700.
    const most = { bodyBytesMax: 200, inflatedBytesMax: 200 };
    const ledger = new Ledger(900, () => 0);
    ledger.lease().take(200);
    await expect(receive(sized('application/json'), most, ledger.lease())).rejects.toMatchObject({
      code: 'OVERLOADED',
    });
    const { body } = await receive(sized('application/x-protobuf'), most, ledger.lease());
    expect(viewOf(body)).toHaveLength(200);
  });

  it('receive() refuses a body before it is inflated when others leave no room for it', async () => {
    const plain = new Uint8Array(5000);
    const body = zlib.gzipSync(plain);
    const gzip = { ...headers, 'content-encoding': 'gzip' };
    const most = { bodyBytesMax: 10_000, inflatedBytesMax: 10_000 };
    const send = () => new Request('http://edge/', { method: 'POST', body, headers: gzip });
    const ledger = new Ledger(15_000, () => 0);
    const other = ledger.lease();
    other.take(1000);
    await expect(receive(send(), most, ledger.lease())).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryable: true,
    });
    other.release();
    const alone = new Ledger(15_000, () => 0);
    const received = await receive(send(), most, alone.lease());
    expect(viewOf(received.body).length).toBe(5000);
    expect(alone.bytes).toBe(5000);
  });

  it('receive() reads byte streams whole, whatever their length', async () => {
    for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
      const bytes = Uint8Array.from({ length }, (_value, index) => (index * 7) & 255);
      const most = { bodyBytesMax: 200_000, inflatedBytesMax: 200_000 };
      const received = await receive(request(bytes), most, new Ledger(1e6, () => 0).lease());
      const body = viewOf(received.body);
      expect(body.length).toBe(length);
      expect(body.every((byte, index) => byte === bytes[index])).toBe(true);
    }
  });

  it('receive() stops a body as soon as others hold too much', async () => {
    const ledger = new Ledger(50, () => 0);
    ledger.lease().take(40);
    const receiving = receive(request('x'.repeat(20)), limits, ledger.lease());
    await expect(receiving).rejects.toMatchObject({ code: 'OVERLOADED' });
  });
});

describe('mediaTypeOf()', () => {
  it.each([
    ['application/x-protobuf', 'application/x-protobuf'],
    ['Application/X-Protobuf; a=b', 'application/x-protobuf'],
    ['application/json;charset=UTF-8', 'application/json'],
    ['text/json', undefined],
    [null, undefined],
  ])('row 14: mediaTypeOf(%o) is %s', (header, type) => {
    expect(mediaTypeOf(header)).toBe(type);
  });
});
