import { describe, expect, it } from 'vitest';
import { KafkaError } from '../../../schemas/errors.ts';
import { gatewayTopicFreshMs } from '../../../schemas/limits/kafka.ts';
import { partitionIndex } from '../../../workers/clients/kafka/kafka.ts';
import { Placer } from '../../../workers/gateway/place.ts';

const record = (key: string | null, partition?: number) => ({
  key: key === null ? null : Buffer.from(key),
  value: null,
  timestampMs: 0,
  ...(partition !== undefined && { partition }),
});

describe('Placer', () => {
  const asked: string[] = [];
  let nowMs = 0;
  const placer = new Placer({
    partitions: (topic) => {
      asked.push(topic);
      if (topic === 'away') return Promise.reject(new KafkaError('CONNECTION', 'Cannot look'));
      return topic === 'spans'
        ? Promise.resolve([0, 1, 2])
        : Promise.reject(new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', 'Cannot look'));
    },
    indexOf: partitionIndex,
    now: () => nowMs,
  });

  it('places keys as the Java client does', async () => {
    const pick = await placer.picker('spans', 40_401);
    // murmur2 of "21" is -973932308, of "foobar" -790332482: tests of Kafka's own Utils.murmur2.
    expect(pick(record('21'))).toBe((-973_932_308 & 0x7fffffff) % 3);
    expect(pick(record('foobar'))).toBe((-790_332_482 & 0x7fffffff) % 3);
  });

  it('keeps keyless records of a request together, and changes from request to request', async () => {
    const places = new Set<number>();
    for (let request = 0; request < 3; request += 1) {
      const pick = await placer.picker('spans', 40_401);
      expect(pick(record(null))).toBe(pick(record(null)));
      places.add(pick(record(null)));
    }
    expect(places).toEqual(new Set([0, 1, 2]));
  });

  it('takes a wish, and refuses one for a partition that is not there', async () => {
    const pick = await placer.picker('spans', 40_401);
    expect(pick(record('21', 2))).toBe(2);
    expect(() => pick(record('21', 3))).toThrow(
      expect.objectContaining({ errorCode: 40_402 }) as Error,
    );
  });

  it('asks for a topic once in a while', async () => {
    asked.length = 0;
    await placer.picker('spans', 40_401);
    expect(asked).toEqual([]);
    nowMs += gatewayTopicFreshMs;
    await placer.picker('spans', 40_401);
    expect(asked).toEqual(['spans']);
  });

  it.each(['nobody', '..', 'a b', '', 'x'.repeat(250)])('does not find topic %j', async (topic) => {
    const fault = { status: 404, errorCode: 40_401 };
    await expect(placer.picker(topic, 40_401)).rejects.toMatchObject(fault);
  });

  it('says it when Kafka cannot be asked', async () => {
    await expect(placer.picker('away', 40_401)).rejects.toMatchObject({ kafkaType: 'CONNECTION' });
  });
});
