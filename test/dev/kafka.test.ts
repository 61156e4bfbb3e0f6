/** Tests of the embedded Kafka itself: it keeps its data and leaves no process behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startKafka } from '../../dev/kafka.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('startKafka()', () => {
  it('says what is missing', async () => {
    const options = { directory: os.tmpdir(), environment: { PATH: '/nonexistent' } };
    await expect(startKafka(options)).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
  });
});

describe.skipIf(noKafka)('startKafka()', () => {
  it('keeps what it has over a stop and a start; a second one cannot take its port', async () => {
    const kafka = await startTestKafka();
    onTestFinished(() => kafka.close());
    const firstPid = kafka.pid;
    const write = async () => {
      const producer = await kafka.client.openProducer();
      const records = [{ key: null, value: Buffer.from('x'), timestampMs: 1 }];
      const { firstOffset } = await producer.produce({ topic: 'kept', partition: 0, records });
      await producer.close();
      return firstOffset;
    };
    const admin = await kafka.client.openAdmin();
    expect(await admin.createTopics([{ topic: 'kept', partitions: 1 }])).toEqual(['kept']);
    await admin.close();
    expect(await write()).toBe(0n);
    const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-kafka-taken-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
    const second = startKafka({ directory, port: kafka.port, environment: process.env });
    await expect(second).rejects.toMatchObject({
      code: 'PROGRAM_ENDED',
      message: expect.stringContaining(`${kafka.port}`) as string,
    });
    await kafka.stop();
    expect(isAlive(firstPid)).toBe(false);
    await kafka.restart();
    expect(await write()).toBe(1n);
  }, 360_000);

  it('ends the broker when the program that started it was killed', async () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-kafka-orphan-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
    const source = path.join(import.meta.dirname, '../../dev/kafka.ts');
    const script = `
      import { startKafka } from ${JSON.stringify(source)};
      const { pid } = await startKafka({
        directory: ${JSON.stringify(directory)}, environment: process.env,
      });
      console.log(pid);
      setInterval(() => undefined, 1000);`;
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: starter.stdout }), 'line')) as [string];
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    starter.kill('SIGKILL');
    while (isAlive(pid)) await pause(50);
  }, 120_000);
});
