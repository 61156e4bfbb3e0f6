/** Tests of `tidemark key` as users call it, with wrangler and a local Workers KV. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unstable_startWorker } from 'wrangler';
import { main } from '../../../bin/main.ts';
import { putArguments } from '../../../bin/kv.ts';
import { keyPattern, recordName, toKeyRecord } from '../../../schemas/key.ts';
import type { KeyRecord } from '../../../schemas/key.ts';

const nowMs = Date.parse('2026-11-22T12:00:00Z');

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-key-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function key(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await main(['key', ...args], {
    // Nothing here may reach an account.
    environment: { PATH: process.env['PATH'], HOME: directory, CLOUDFLARE_API_TOKEN: '' },
    stdout: { write: (line: string) => out.push(line) },
    stderr: { write: (line: string) => err.push(line) },
    now: () => nowMs,
    signal: new AbortController().signal,
  });
  return { code, stdout: out.join(''), stderr: err.join('') };
}

interface Created {
  readonly id: string;
  readonly key: string;
  readonly record: KeyRecord;
}

describe('tidemark key create', () => {
  it('prints a key once, and a record with its hash and all that was asked for', async () => {
    const flags = [
      ['--tenant', 'shop'],
      ['--signals', 'logs, traces'],
      ['--metrics'],
      ['--origin', 'https://shop.example'],
      ['--origin', 'http://localhost:3000/'],
      ['--rate', 'high'],
      ['--bytes-per-minute', '1000000'],
      ['--items-per-minute', '5000'],
      ['--expires', '90d'],
      ['--note', 'web shop'],
      ['--json'],
    ].flat();
    const outcome = await key('create', ...flags);
    expect(outcome.code).toBe(0);
    const created = JSON.parse(outcome.stdout) as Created;
    expect(keyPattern.exec(created.key)?.[1]).toBe(created.id);
    expect(created.record).toEqual({
      version: 1,
      hash: createHash('sha256').update(created.key).digest('hex'),
      tenant: 'shop',
      signals: ['traces', 'logs'],
      metrics: true,
      origins: ['https://shop.example', 'http://localhost:3000'],
      rate: 'high',
      bytesPerMinute: 1_000_000,
      itemsPerMinute: 5000,
      note: 'web shop',
      expires: '2027-02-20T12:00:00.000Z',
      created: '2026-11-22T12:00:00.000Z',
    });
    expect(outcome.stderr).toContain('TIDEMARK_CORS_ORIGINS');
  });

  it('prints a command for the shell that stores the record, and never the key in it', async () => {
    const { stdout, stderr } = await key('create', '--tenant', 'shop', '--note', "it's");
    const command = /npx wrangler (.*)/.exec(stderr)?.[1] ?? '';
    // The shell's own reading of the quotes.
    const args = execFileSync('sh', ['-c', `printf '%s\\n' ${command}`])
      .toString()
      .split('\n');
    const [id] = keyPattern.exec(stdout.trim())?.slice(1) ?? [];
    expect(args.slice(0, 4)).toEqual(['kv', 'key', 'put', recordName(id ?? '')]);
    expect(toKeyRecord(JSON.parse(args[4] ?? ''))).toMatchObject({ tenant: 'shop', note: "it's" });
    expect(args.slice(5, 10)).toEqual(['--binding', 'KEYS', '--env', 'production', '--remote']);
    expect(stderr).not.toContain(stdout.trim());
  });

  it.each([
    [[], 'required option'],
    [['--tenant', 'Shop'], 'does not match'],
    [['--tenant', "a'b"], 'does not match'],
    [['--tenant', 'a/b'], 'does not match'],
    [['--tenant', 'shop', '--signals', 'spans'], 'not a list of'],
    [['--tenant', 'shop', '--origin', 'shop.example'], 'not an origin'],
    [['--tenant', 'shop', '--origin', 'https://shop.example/path'], 'not an origin'],
    [['--tenant', 'shop', '--origin', '*'], 'not an origin'],
    [['--tenant', 'shop', '--rate', 'fast'], 'Allowed choices'],
    [['--tenant', 'shop', '--bytes-per-minute', '0'], 'not a whole number'],
    [['--tenant', 'shop', '--expires', 'tomorrow'], '--expires wants'],
    [['--tenant', 'shop', '--expires', '2026-01-01T00:00:00Z'], '--expires wants'],
    [['--tenant', 'shop', '--expires', '2027-02-31T00:00:00Z'], '--expires wants'],
    [['--tenant', 'shop', '--note', 'x'.repeat(101)], 'note is too long'],
  ])('%j is a usage error: exit code 2', async (args, message) => {
    const outcome = await key('create', ...args);
    expect(outcome.stderr).toContain(message);
    expect(outcome.code).toBe(2);
    expect(outcome.stdout).toBe('');
  });
});

describe('tidemark key with Workers KV', () => {
  it('create --put, list and revoke keep the record where the Worker reads it', async () => {
    const local = ['--local', '--data', directory];
    const create = async (tenant: string) => {
      const made = await key('create', '--tenant', tenant, '--put', '--json', ...local);
      expect(made).toMatchObject({ code: 0, stderr: '' });
      return JSON.parse(made.stdout) as Created;
    };
    const [valid, ended] = [await create('shop'), await create('other')];
    const revoked = await key('revoke', ended.key, ...local, '--json');
    expect(revoked).toMatchObject({ code: 0, stderr: '' });
    const since = '2026-11-22T12:00:00.000Z';
    expect(JSON.parse(revoked.stdout)).toEqual({ id: ended.id, tenant: 'other', revoked: since });

    const listed = await key('list', ...local);
    expect(listed.code).toBe(0);
    expect(listed.stdout).toMatch(new RegExp(`${valid.id} +shop +valid `));
    expect(listed.stdout).toMatch(new RegExp(`${ended.id} +other +revoked 2026-11-22`));
    expect(listed.stdout).not.toContain(valid.record.hash);

    // The Worker of wrangler.toml, on the same directory, takes the one key and not the other.
    const worker = await unstable_startWorker({
      config: path.join(import.meta.dirname, '../../../wrangler.toml'),
      bindings: { TIDEMARK_AUTH: { type: 'plain_text', value: 'keys' } },
      dev: {
        server: { hostname: '127.0.0.1', port: 0 },
        inspector: false,
        persist: path.join(directory, 'edge'),
        watch: false,
        logLevel: 'none',
      },
    });
    try {
      await worker.ready;
      const url = new URL('/v1/traces', await worker.url);
      const send = (text: string) =>
        fetch(url, {
          method: 'POST',
          body: '{}',
          headers: { 'content-type': 'application/json', 'x-api-key': text },
        });
      expect((await send(valid.key)).status).toBe(200);
      const refused = await send(ended.key);
      expect(refused.status).toBe(401);
      expect(await refused.text()).toContain('revoked');
      expect((await send('')).status).toBe(401);
    } finally {
      await worker.dispose();
    }
  }, 180_000);

  it('revoke says when there is no such key, and takes a whole key without showing it', async () => {
    const text = `tm_${'0'.repeat(16)}_${'ab'.repeat(24)}`;
    const outcome = await key('revoke', text, '--local', '--data', directory);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain(`Cannot revoke key ${'0'.repeat(16)}`);
    expect(outcome.stderr).not.toContain('abab');
    expect((await key('revoke', 'nonsense')).code).toBe(2);
  }, 60_000);

  it('names what wrangler says when it cannot reach an account: exit code 1', async () => {
    const outcome = await key('list', '--env', 'staging');
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('CLOUDFLARE_API_TOKEN');
    expect(outcome.stderr).not.toContain('\u001B');
  }, 60_000);
});

describe('putArguments()', () => {
  it('putArguments() names the namespace of an environment, or a local one', () => {
    const remote = putArguments('n', 'v', { env: 'staging', directory: undefined });
    expect(remote.slice(5).join(' ')).toBe('--binding KEYS --env staging --remote');
    const local = putArguments('n', 'v', { env: undefined, directory: '/d' });
    expect(local.slice(5).join(' ')).toBe('--binding KEYS --local --persist-to /d');
  });
});
