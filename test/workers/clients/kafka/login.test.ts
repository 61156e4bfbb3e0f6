/** TLS and SASL against a real broker, whose listeners want a password or a client certificate. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { steadyPorts } from '../../../../dev/port.ts';
import { readSettings } from '../../../../schemas/settings.ts';
import type { KafkaBatch } from '../../../../workers/clients/kafka/consumer.ts';
import { assertLogin, openKafka } from '../../../../workers/clients/kafka/kafka.ts';
import { loginOf } from '../../../../workers/clients/kafka/login.ts';
import { makeCertificates } from '../../../support/certificates.ts';
import type { Certificates } from '../../../support/certificates.ts';
import { runPeer } from '../../../support/java.ts';
import { noKafka, startTestKafka } from '../../../support/kafka.ts';
import type { TestKafka } from '../../../support/kafka.ts';
import { startBucket } from '../../../support/objects.ts';

const silent = pino({ level: 'silent' });
const password = 'edge-password-3f9';
const topic = 'secured';
const tidemark = fileURLToPath(new URL('../../../../bin/tidemark.js', import.meta.url));

function ofListener(name: string, rows: Readonly<Record<string, string>>): string[][] {
  return Object.entries(rows).map(([key, value]) => [`listener.name.${name}.ssl.${key}`, value]);
}

describe('loginOf()', () => {
  const brokers = { KAFKA_BROKERS: 'a:9092' };
  it.each([
    ['an authority without TLS', { KAFKA_TLS_CA: 'ca.pem' }, 'KAFKA_TLS_CA'],
    ['a key without a certificate', { KAFKA_TLS: 'on', KAFKA_TLS_KEY: 'k' }, 'KAFKA_TLS_KEY'],
    ['a file that is not there', { KAFKA_TLS: 'on', KAFKA_TLS_CA: '/no/ca.pem' }, 'KAFKA_TLS_CA'],
    ['a file that is no PEM', { KAFKA_TLS: 'on', KAFKA_TLS_CA: tidemark }, 'KAFKA_TLS_CA'],
    [
      'a certificate without a key',
      { KAFKA_TLS: 'on', KAFKA_TLS_CERT: '-----BEGIN CERTIFICATE-----' },
      'KAFKA_TLS_KEY',
    ],
    ['a user without a password', { KAFKA_SASL_MECHANISM: 'plain' }, 'KAFKA_SASL_MECHANISM'],
  ])('refuses %s', (_name, environment, setting) => {
    const settings = readSettings({ ...brokers, ...environment });
    const refusal = expect.objectContaining({ setting }) as Error;
    expect(() => loginOf(settings, silent)).toThrow(refusal);
  });

  it('does not repeat what stands in the place of a key', () => {
    const secret = 'MIIEvQIBADANBgkqhkiG9w0';
    const environment = { ...brokers, KAFKA_TLS: 'on', KAFKA_TLS_CERT: '-----BEGIN' };
    const settings = readSettings({ ...environment, KAFKA_TLS_KEY: secret });
    const message = 'Cannot use setting KAFKA_TLS_KEY: neither PEM text nor a file';
    expect(() => loginOf(settings, silent)).toThrow(message);
    try {
      loginOf(settings, silent);
    } catch (error) {
      expect(inspect(error)).not.toContain(secret);
    }
  });
});

describe.skipIf(noKafka)('a broker with TLS and passwords', () => {
  let directory: string;
  let certificates: Certificates;
  let kafka: TestKafka;
  /** Listeners: SASL over TLS, and TLS with a client certificate. */
  let login: string;
  let mutual: string;

  beforeAll(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-login-'));
    certificates = makeCertificates(directory);
    const [plain = 0, first = 0, second = 0, controller = 0] = await steadyPorts(4);
    login = `127.0.0.1:${first}`;
    mutual = `127.0.0.1:${second}`;
    const open = `PLAINTEXT://127.0.0.1:${plain},LOGIN://${login},MUTUAL://${mutual}`;
    const jaas = 'org.apache.kafka.common.security';
    const keys = { 'keystore.type': 'PEM', 'keystore.location': certificates.broker };
    const trust = { 'truststore.type': 'PEM', 'truststore.location': certificates.ca };
    kafka = await startTestKafka({
      port: plain,
      properties: {
        listeners: `${open},CONTROLLER://127.0.0.1:${controller}`,
        'advertised.listeners': open,
        'controller.quorum.voters': `1@127.0.0.1:${controller}`,
        'listener.security.protocol.map':
          'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL,MUTUAL:SSL',
        'listener.name.login.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
        'listener.name.login.plain.sasl.jaas.config': `${jaas}.plain.PlainLoginModule required user_edge="${password}";`,
        'listener.name.login.scram-sha-256.sasl.jaas.config': `${jaas}.scram.ScramLoginModule required;`,
        'listener.name.login.scram-sha-512.sasl.jaas.config': `${jaas}.scram.ScramLoginModule required;`,
        ...Object.fromEntries(ofListener('login', keys)),
        ...Object.fromEntries(
          ofListener('mutual', { ...keys, ...trust, 'client.auth': 'required' }),
        ),
      },
    });
    await runPeer(['scram', kafka.brokers, 'edge', password]);
    const admin = await kafka.client.openAdmin();
    await admin.createTopics([{ topic, partitions: 1 }]);
    await admin.close();
  }, 360_000);

  afterAll(async () => {
    await kafka.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const withLogin = (mechanism: string, more: Record<string, string> = {}) => ({
    KAFKA_BROKERS: login,
    KAFKA_TLS: 'on',
    KAFKA_TLS_CA: certificates.ca,
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: 'edge',
    KAFKA_SASL_PASSWORD: password,
    ...more,
  });
  const withCertificate = (more: Record<string, string> = {}) => ({
    KAFKA_BROKERS: mutual,
    KAFKA_TLS: 'on',
    KAFKA_TLS_CA: readFileSync(certificates.ca, 'utf8'),
    KAFKA_TLS_CERT: certificates.clientCert,
    KAFKA_TLS_KEY: certificates.clientKey,
    ...more,
  });
  /** Environments by name; made when the listeners are known. */
  const ways: Record<string, () => Record<string, string>> = {
    plain: () => withLogin('plain'),
    'scram-sha-256': () => withLogin('scram-sha-256'),
    'scram-sha-512': () => withLogin('scram-sha-512'),
    'a client certificate': () => withCertificate(),
    'a client certificate with an encrypted key': () =>
      withCertificate({
        KAFKA_TLS_KEY: readFileSync(certificates.encryptedKey, 'utf8'),
        KAFKA_TLS_KEY_PASSWORD: certificates.keyPassword,
      }),
  };

  it.each(Object.keys(ways))(
    'produce() and consume() by %s',
    async (way) => {
      const client = openKafka(readSettings(ways[way]?.() ?? {}), silent);
      const producer = await client.openProducer();
      const value = Buffer.from(way);
      const records = [{ key: null, value, timestampMs: 1 }];
      const { firstOffset } = await producer.produce({ topic, partition: 0, records });
      const found = Promise.withResolvers<KafkaBatch>();
      const member = await client.consume({
        groupId: `by ${way}`,
        topics: [topic],
        handler: {
          assigned: () => Promise.resolve(firstOffset),
          revoked: () => undefined,
          records: (batch) => found.resolve(batch),
          failed: (error) => found.reject(error),
        },
      });
      expect((await found.promise).records[0]?.value?.toString()).toBe(way);
      await Promise.all([member.stop(), producer.close()]);
    },
    60_000,
  );

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    'assertLogin() throws at a wrong password, and writes none down (%s)',
    async (mechanism) => {
      const lines: string[] = [];
      const sink = new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          lines.push(chunk.toString());
          done();
        },
      });
      const wrong = withLogin(mechanism, { KAFKA_SASL_PASSWORD: `${password}-wrong` });
      const client = openKafka(readSettings(wrong), pino({ level: 'trace' }, sink));
      const fault: unknown = await assertLogin(client).catch((error: unknown) => error);
      expect(fault).toMatchObject({ kafkaType: 'AUTHENTICATION', retryable: false });
      expect(lines.length).toBeGreaterThan(0);
      const text = lines.join('') + String(fault);
      for (const form of [password, Buffer.from(password).toString('base64').slice(0, 16)]) {
        expect(text).not.toContain(form);
      }
    },
  );

  it.each([
    ['an authority that is not ours', () => ({ KAFKA_TLS_CA: certificates.strangeCa })],
    ['no authority', () => ({ KAFKA_TLS_CA: '' })],
    ['no client certificate', () => ({ KAFKA_TLS_CERT: '', KAFKA_TLS_KEY: '' })],
  ])('assertLogin() throws at %s', async (_name, more) => {
    const client = openKafka(readSettings(withCertificate(more())), silent);
    await expect(assertLogin(client)).rejects.toMatchObject({ kafkaType: 'TLS', retryable: false });
  });

  it('assertLogin() says nothing of brokers that are away', async () => {
    const client = openKafka(readSettings({ KAFKA_BROKERS: '127.0.0.1:1' }), silent);
    await expect(assertLogin(client)).resolves.toBeUndefined();
  });

  it.each(['archive', 'kafka-rest'])(
    'tidemark %s ends with one error',
    async (command) => {
      const bucket = await startBucket();
      const wrong = withLogin('scram-sha-512', { KAFKA_SASL_PASSWORD: `${password}-wrong` });
      const child = spawn(process.execPath, [tidemark, command], {
        env: { PATH: process.env['PATH'], ...wrong, S3_ENDPOINT: bucket.endpoint },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let errors = '';
      child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number | null];
      await bucket.close();
      expect(code).toBe(1);
      expect(errors).toContain('KAFKA');
      expect(errors).toMatch(/authentication/i);
      expect(errors).not.toContain(password);
      expect(errors.match(/SASL SCRAM/g)?.length, errors).toBe(1);
    },
    60_000,
  );
});
