import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { KafkaError } from '../../../schemas/errors.ts';
import { gatewayBatchBytes, gatewayBatchRecordsMax } from '../../../schemas/limits/kafka.ts';
import type { ProduceRequest, Produced } from '../../../workers/clients/kafka/kafka.ts';
import { Batcher } from '../../../workers/gateway/batch.ts';
import type { GatewayRecord } from '../../../workers/gateway/record.ts';

const recordOf = (text: string, bytes = 0): GatewayRecord => ({
  key: Buffer.from(text),
  value: Buffer.alloc(bytes),
  timestampMs: 7,
});

/** A partition that keeps what it is sent. */
class Log {
  readonly calls: string[][] = [];
  underWay = 0;
  underWayMax = 0;
  #next = 0n;

  readonly send = async ({ records }: ProduceRequest): Promise<Produced> => {
    this.underWay += 1;
    this.underWayMax = Math.max(this.underWayMax, this.underWay);
    this.calls.push(records.map(({ key }) => String(key)));
    await pause(10);
    this.underWay -= 1;
    const firstOffset = this.#next;
    this.#next += BigInt(records.length);
    return { firstOffset, appendedMs: undefined };
  };
}

describe('Batcher', () => {
  it('sends what comes within the linger in one call, in order, each with its own offset', async () => {
    const log = new Log();
    const batcher = new Batcher(log.send, 20);
    const names = Array.from({ length: 50 }, (_, index) => `r${index}`);
    const outcomes = await Promise.all(names.map((name) => batcher.add('t', 0, recordOf(name))));
    expect(log.calls).toEqual([names]);
    expect(outcomes).toEqual(
      names.map((_, index) => ({ partition: 0, offset: BigInt(index), timestampMs: 7 })),
    );
  });

  it('has one call of a partition under way, and sends together what came meanwhile', async () => {
    const log = new Log();
    const batcher = new Batcher(log.send, 0);
    const first = batcher.add('t', 0, recordOf('a'));
    await pause(5);
    const later = ['b', 'c', 'd'].map((name) => batcher.add('t', 0, recordOf(name)));
    await Promise.all([first, ...later]);
    expect(log.calls).toEqual([['a'], ['b', 'c', 'd']]);
    expect(log.underWayMax).toBe(1);
  });

  it('keeps partitions and topics apart', async () => {
    const seen: string[] = [];
    const batcher = new Batcher(({ topic, partition, records }) => {
      seen.push(`${topic}/${partition}/${records.length}`);
      return Promise.resolve({ firstOffset: 0n, appendedMs: 9 });
    }, 5);
    const outcomes = await Promise.all([
      batcher.add('t', 0, recordOf('a')),
      batcher.add('t', 1, recordOf('b')),
      batcher.add('u', 0, recordOf('c')),
      batcher.add('t', 0, recordOf('d')),
    ]);
    expect(seen.toSorted()).toEqual(['t/0/2', 't/1/1', 'u/0/1']);
    expect(outcomes[0]).toMatchObject({ timestampMs: 9 });
  });

  it('keeps batches below their bounds; a larger record goes alone', async () => {
    const log = new Log();
    const batcher = new Batcher(log.send, 5);
    const third = Math.floor(gatewayBatchBytes / 3);
    const sizes = [third, third, third, gatewayBatchBytes * 2, 10, 10];
    await Promise.all(
      sizes.map((bytes, index) => batcher.add('t', 0, recordOf(`${index}`, bytes))),
    );
    expect(log.calls).toEqual([['0', '1'], ['2'], ['3'], ['4', '5']]);
    log.calls.length = 0;
    const many = Array.from({ length: gatewayBatchRecordsMax + 1 }, () => recordOf('x'));
    await Promise.all(many.map((record) => batcher.add('t', 0, record)));
    expect(log.calls.map(({ length }) => length)).toEqual([gatewayBatchRecordsMax, 1]);
  });

  it('gives an error to the records of its batch alone, and goes on', async () => {
    const fault = new KafkaError('CONNECTION', 'Cannot produce', { retryable: true });
    let calls = 0;
    const batcher = new Batcher(() => {
      calls += 1;
      return calls === 1
        ? Promise.reject(fault)
        : Promise.resolve({ firstOffset: 5n, appendedMs: undefined });
    }, 5);
    const lost = await Promise.all(['a', 'b'].map((name) => batcher.add('t', 0, recordOf(name))));
    expect(lost).toEqual([fault, fault]);
    expect(await batcher.add('t', 0, recordOf('c'))).toMatchObject({ offset: 5n });
  });

  it('finds the one record that a topic does not take', async () => {
    const log = new Log();
    const batcher = new Batcher(async (request) => {
      const isTooLarge = request.records.some(({ key }) => String(key) === 'big');
      if (!isTooLarge) return log.send(request);
      throw new KafkaError('MESSAGE_TOO_LARGE', 'Cannot produce: the record is too large');
    }, 5);
    const names = ['a', 'b', 'big', 'c', 'd'];
    const outcomes = await Promise.all(names.map((name) => batcher.add('t', 0, recordOf(name))));
    expect(outcomes.map((outcome) => 'offset' in outcome && Number(outcome.offset))).toEqual([
      0,
      1,
      false,
      2,
      3,
    ]);
    expect(log.calls.flat()).toEqual(['a', 'b', 'c', 'd']);
  });
});
