import { describe, expect, it } from 'vitest';
import { SettingError } from '../../schemas/errors.ts';
import { readSettings, settings } from '../../schemas/settings.ts';

describe('readSettings()', () => {
  it('gives every row its default when the environment is empty', () => {
    const read = readSettings({});
    expect(Object.keys(read).toSorted()).toEqual(Object.keys(settings).toSorted());
    expect(read.TIDEMARK_PORT).toBe(8787);
    expect(read.CLICKHOUSE_URL).toBe('http://127.0.0.1:8123');
  });

  it('takes values of the environment and leaves other programs their variables', () => {
    const read = readSettings({ TIDEMARK_PORT: '9000', PATH: '/bin', S3_BUCKET: 'archive' });
    expect(read.TIDEMARK_PORT).toBe(9000);
    expect(read.S3_BUCKET).toBe('archive');
  });

  it('refuses an unknown TIDEMARK_ name, so that a misspelt setting is not silently lost', () => {
    expect(() => readSettings({ TIDEMARK_PROT: '1' })).toThrow(
      'Cannot use setting TIDEMARK_PROT: no setting has this name',
    );
  });

  it.each([
    ['TIDEMARK_PORT', 'eighty', 'is not a whole number from 1 to 65535'],
    ['TIDEMARK_PORT', '0', 'is not a whole number from 1 to 65535'],
    ['TIDEMARK_PORT', '65536', 'is not a whole number from 1 to 65535'],
    ['TIDEMARK_PORT', '80.5', 'is not a whole number from 1 to 65535'],
    ['TIDEMARK_PORT', '', 'is not a whole number from 1 to 65535'],
    // Timers of Node take 2^31 - 1 ms; past that they go off at once, again and again.
    ['TIDEMARK_ARCHIVE_POLL_MS', '2592000000', 'is not a whole number from 1 to 86400000'],
    ['TIDEMARK_COMPACT_EVERY_MS', '2592000000', 'is not a whole number from 0 to 86400000'],
    ['TIDEMARK_BATCH_POLL_MS', '2592000000', 'is not a whole number from 100 to 86400000'],
    ['TIDEMARK_BATCH_LEASE_MS', '99999999999', 'is not a whole number from 1000 to 86400000'],
    ['TIDEMARK_SINK_TIMEOUT_MS', '2592000000', 'is not a whole number from 1 to 600000'],
    ['CLICKHOUSE_URL', 'nowhere', 'is not a URL'],
    ['CLICKHOUSE_URL', 'localhost:8123', 'is not a URL such as http://127.0.0.1:8123'],
    ['S3_ENDPOINT', 'ftp://store.example', 'is not a URL'],
    ['TIDEMARK_LOG_LEVEL', 'loud', 'is not one of trace, debug, info, warn, error'],
  ])('refuses %s=%j and names the bound', (name, value, reason) => {
    expect(() => readSettings({ [name]: value })).toThrow(reason);
    expect(() => readSettings({ [name]: value })).toThrow(SettingError);
  });

  it.each([
    ['htp://tide:s3/c:r@t@db:8443', 'htp://…@db:8443'],
    ['tide:s3cret@db', '…@db'],
  ])('shows no password of a URL that it refuses: %s', (url, shown) => {
    expect(() => readSettings({ CLICKHOUSE_URL: url })).toThrow(`"${shown}" is not a URL`);
  });

  it('refuses the line break of a secret that was read from a file, and does not show it', () => {
    expect(() => readSettings({ KAFKA_SASL_PASSWORD: 's3cret\n' })).toThrow(
      /^Cannot use setting KAFKA_SASL_PASSWORD: character 7 of 7 is a line break or another control character$/,
    );
    const pem = '-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n';
    expect(readSettings({ KAFKA_TLS_KEY: pem }).KAFKA_TLS_KEY).toBe(pem);
  });

  it('accepts the bounds themselves', () => {
    expect(readSettings({ TIDEMARK_PORT: '1' }).TIDEMARK_PORT).toBe(1);
    expect(readSettings({ TIDEMARK_PORT: '65535' }).TIDEMARK_PORT).toBe(65_535);
  });
});

describe('settings', () => {
  it('have defaults that their own rows allow', () => {
    const defaults = Object.fromEntries(
      Object.entries(settings).map(([name, row]) => [name, row.default]),
    );
    expect(() => readSettings(defaults)).not.toThrow();
  });

  it('carry a meaning each, and a unit where they count something', () => {
    for (const [name, row] of Object.entries(settings)) {
      expect(row.meaning, name).not.toBe('');
      if (/_(MS|BYTES|BYTES_MAX|ROWS)$/.test(name)) expect(row.unit, name).not.toBe('');
    }
  });
});
