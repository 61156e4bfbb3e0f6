/** Rows that are written straight from the wire, against those of protobufjs with a plain reference. */
import { beforeAll, describe, expect, it } from 'vitest';
import { Transcoder } from '../../aggregator-as/host.ts';
import { seededRandom } from '../support/random.ts';
import { expectLogs, logCells } from './logs.ts';
import { loadTranscoder, receipt } from './module.ts';
import { bitsOf, metricOf, metricsRequest, pointTime } from './pointmaker.ts';
import { encodeRow, rowsOf } from './pointrows.ts';
import { expectPoints } from './points.ts';
import { bytesField, fixed64Field, message, textAttribute, traceId, varintField } from './wire.ts';

let transcoder: Transcoder;

beforeAll(async () => {
  transcoder = new Transcoder(await loadTranscoder());
});

const timeNs = 1_700_000_000_000_000_000n;

describe("toRowBinary('logs')", () => {
  it('writes records of the plain shape as it writes all others, at every bound of that shape', () => {
    const random = seededRandom(4_712);
    const below = (bound: number) => Math.floor(random() * bound);
    const value = (): Uint8Array => {
      const whole = BigInt(below(2 ** 30)) ** BigInt(below(3));
      const text = 'v'.repeat(below(20) === 0 ? 118 + below(12) : below(60));
      const values = [
        () => bytesField(1, below(30) === 0 ? `${text}é` : text),
        () => varintField(2, below(2)),
        () => varintField(3, below(2) === 0 ? whole : -whole),
        () => fixed64Field(4, bitsOf(below(9) === 0 ? Number.NaN : random() * 10 ** below(300))),
      ];
      return values[below(4)]?.() ?? new Uint8Array();
    };
    const attribute = () => {
      const key = bytesField(1, 'k'.repeat(below(20) === 0 ? 120 + below(10) : below(50)));
      return bytesField(6, message(key, bytesField(2, value())));
    };
    const record = () => {
      const many = below(4) === 0 ? ([0, 8, 126, 127, 128, 200][below(6)] ?? 0) : below(6);
      const attributes = Array.from({ length: many }, attribute);
      // Something between attributes, or large, or not UTF-8, or with a nested body.
      const between = below(9) === 0 ? attributes.splice(below(many + 1)) : [];
      const padding = [0, 300, 20_000, 70_000][below(4)] ?? 0;
      return message(
        fixed64Field(1, below(20) === 0 ? 1n : timeNs + BigInt(below(99))),
        ...(below(9) === 0 ? [bytesField(3, Uint8Array.of(0xff))] : []),
        bytesField(5, bytesField(1, 'b'.repeat(below(200)))),
        ...attributes,
        ...(below(12) === 0 ? [bytesField(99, new Uint8Array(padding))] : []),
        ...(below(2) === 0 ? [bytesField(9, traceId)] : []),
        ...between,
        ...(below(5) === 0 ? [bytesField(12, 'event')] : []),
        ...(below(30) === 0 ? [bytesField(10, Uint8Array.of(1, 2))] : []),
      );
    };
    let plain = 0;
    for (let round = 0; round < 150; round += 1) {
      const scopes = Array.from({ length: 1 + below(3) }, () =>
        bytesField(2, message(...Array.from({ length: below(6) }, () => bytesField(2, record())))),
      );
      const service = bytesField(1, bytesField(1, textAttribute('service.name', `s${round}`)));
      const request = bytesField(1, message(service, ...scopes));
      const { logs, rejectedBy, invalidUtf8 } = expectLogs(request, receipt);
      const result = transcoder.toRowBinary('logs', request, receipt);
      expect(result, `round ${round}`).toMatchObject({
        accepted: logs.length,
        rejectedBy,
        invalidUtf8,
      });
      const kept = logs.filter(({ quarantined }) => !quarantined);
      const wanted = kept.map((log) =>
        encodeRow(logCells(log, receipt.tenantId, receipt.receivedMs)),
      );
      const rows = Buffer.from(result.tables[0]?.rows ?? []);
      expect(rows.equals(Buffer.concat(wanted)), `round ${round}`).toBe(true);
      plain += kept.length;
    }
    expect(plain).toBeGreaterThan(300);
  });
});

describe("toRowBinary('metrics')", () => {
  it('takes thousands of metrics of a scope kind by kind, each table in the order of arrival', () => {
    const kinds = ['gauge', 'sum', 'summary'] as const;
    const metrics = Array.from({ length: 2500 }, (_, i) => {
      const kind = kinds[i % 3] ?? 'gauge';
      const attribute = bytesField(7, textAttribute('k', `of ${i}`));
      const value = kind === 'summary' ? [] : [fixed64Field(6, BigInt(i))];
      return metricOf(kind, message(pointTime, ...value, attribute));
    });
    for (const request of [metricsRequest(...metrics), metricsRequest(...metrics, ...metrics)]) {
      const { tables } = transcoder.toRowBinary('metrics', request, receipt);
      const wanted = rowsOf(expectPoints(request, receipt).points);
      expect(tables.map(({ rowCount }) => rowCount)).toEqual(wanted.map((each) => each.rowCount));
      for (const [index, { rows }] of wanted.entries()) {
        expect(Buffer.from(tables[index]?.rows ?? []).equals(rows)).toBe(true);
      }
    }
  });

  it('counts the first rejected point and the first fault in the order in which they were sent', () => {
    const bad = message(fixed64Field(6, 1n));
    const good = message(pointTime, fixed64Field(6, 1n));
    // The sum comes before the gauge, whose table is the first.
    const request = metricsRequest(metricOf('sum', good, bad), metricOf('gauge', bad, good));
    const { accepted, rejected, firstRejection } = transcoder.toRowBinary(
      'metrics',
      request,
      receipt,
    );
    expect({ accepted, rejected }).toEqual({ accepted: 2, rejected: 2 });
    expect(firstRejection).toContain('data point 1');
  });
});
