import { describe, expect, it } from 'vitest';
import type { Kafka, KafkaAdmin, KafkaProducer } from '../../../workers/clients/kafka/kafka.ts';
import { Connection } from '../../../workers/gateway/connect.ts';

/** A cluster that cannot be reached until `isUp`. */
class Cluster implements Pick<Kafka, 'openAdmin' | 'openProducer'> {
  isUp = false;
  opened = 0;
  closed = 0;

  async openProducer(): Promise<KafkaProducer> {
    return this.#open({} as KafkaProducer);
  }

  async openAdmin(): Promise<KafkaAdmin> {
    return this.#open({ clusterId: () => Promise.resolve('c') } as KafkaAdmin);
  }

  async #open<T extends object>(client: T): Promise<T> {
    if (!this.isUp) throw new Error('away');
    this.opened += 1;
    return Object.assign(client, {
      close: () => {
        this.closed += 1;
        return Promise.resolve();
      },
    });
  }
}

describe('Connection', () => {
  it('opens each client once, again after a failure, and closes what is open', async () => {
    const cluster = new Cluster();
    const connection = new Connection(cluster as unknown as Kafka);
    await expect(connection.producer()).rejects.toThrow('away');
    await expect(connection.check()).rejects.toThrow('away');
    await expect(connection.clusterId()).rejects.toThrow('away');
    cluster.isUp = true;
    await connection.check();
    expect(await Promise.all([connection.clusterId(), connection.clusterId()])).toEqual(['c', 'c']);
    expect(await connection.producer()).toBe(await connection.producer());
    expect(cluster.opened).toBe(2);
    await connection.close();
    expect(cluster.closed).toBe(2);
  });

  it('has nothing to close when nothing was opened', async () => {
    await expect(new Connection({} as Kafka).close()).resolves.toBeUndefined();
  });
});
