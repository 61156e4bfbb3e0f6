/** Checks the reading of bodies; the limits on whole requests are in serve.test.ts. */
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../edge/lease.ts';
import { mediaTypeOf, receive } from '../../edge/receive.ts';

const limits = { bodyBytesMax: 100, inflatedBytesMax: 100 };
const headers = { 'content-type': 'application/json' };

function request(body: BodyInit): Request {
  return new Request('http://edge/', { method: 'POST', body, headers });
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
    expect(new TextDecoder().decode(received.body)).toBe('{"a":1}');
    expect(received.mediaType).toBe('application/json');
    expect(ledger.bytes).toBe(7);
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
