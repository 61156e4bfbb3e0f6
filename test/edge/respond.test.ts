/** Checks answers against OTLP 1.11 ("OTLP/HTTP Response") and google/rpc/status.proto. */
import { describe, expect, it } from 'vitest';
import { exported, refused, wrongMethod } from '../../edge/respond.ts';
import { signalWires } from '../../edge/signal.ts';
import { DecodeError, errorCodes, TidemarkError } from '../../schemas/errors.ts';
import { exportedOf, statusOf } from './status.ts';

const protobuf = 'application/x-protobuf';
const json = 'application/json';
const { traces } = signalWires;
const clean = {
  accepted: 3,
  rejected: 0,
  rejectedBy: {},
  firstRejection: undefined,
  quarantined: 0,
  clampedDurations: 1,
  invalidUtf8: 1,
};

describe('exported()', () => {
  it('row 31: exported() leaves partial_success unset when nothing was rejected', async () => {
    expect(await exportedOf(exported(protobuf, traces, clean))).toEqual({});
    expect(await exported(json, traces, clean).text()).toBe('{}');
  });

  it('rows 34, 35, 37: exported() counts what was rejected and says why', async () => {
    const rejectedBy = { trace_id_zero: 1, link_id: 299 };
    const tally = { ...clean, rejected: 300, rejectedBy, firstRejection: 'Cannot accept span 0' };
    const errorMessage =
      '300 of 303 spans rejected (trace_id_zero: 1, link_id: 299); first: Cannot accept span 0';
    expect(await exportedOf(exported(protobuf, traces, tally))).toEqual({
      partialSuccess: { rejectedSpans: '300', errorMessage },
    });
    expect(await exported(json, traces, tally).json()).toEqual({
      partialSuccess: { rejectedSpans: '300', errorMessage },
    });
  });
});

describe('refused()', () => {
  it('row 43: only 429 and 503 may be retried, and no error of the world is 500', () => {
    for (const code of errorCodes) {
      const { status, headers } = refused(json, new TidemarkError(code, 'Cannot do it'));
      expect([400, 401, 403, 404, 413, 415, 429, 503]).toContain(status);
      const mayBeRetried = status === 429 || status === 503;
      expect(headers.has('retry-after'), 'rows 45, 46').toBe(mayBeRetried);
    }
  });

  it('rows 40, 42: refused() has a Status in the encoding of the request', async () => {
    const error = new DecodeError('Cannot read it', 5, { field: 'resourceSpans[0]' });
    for (const type of [protobuf, json] as const) {
      const response = refused(type, error);
      expect(response.status).toBe(400);
      expect(response.headers.get('content-type')).toBe(type);
      expect(await statusOf(response)).toEqual({
        code: 3,
        message: 'Cannot read it',
        fields: ['resourceSpans[0]'],
      });
    }
  });

  it('refused() keeps what a bug says to itself', async () => {
    const response = refused(protobuf, new Error('secret'));
    expect(response.status).toBe(500);
    const { code, message } = await statusOf(response);
    expect(code).toBe(13);
    expect(message).not.toContain('secret');
  });

  it('row 39: refused() shortens long messages', async () => {
    const response = refused(
      protobuf,
      new DecodeError('é'.repeat(1 << 20), 0, { field: 'f'.repeat(1 << 20) }),
    );
    expect((await response.arrayBuffer()).byteLength).toBeLessThan(50_000);
  });
});

describe('wrongMethod()', () => {
  it('row 9: wrongMethod() is 405 with Allow and a Status', async () => {
    const response = wrongMethod(protobuf, 'POST');
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await statusOf(response)).code).toBe(12);
  });
});
