/**
 * The archive and a day of the batch on an S3 server that is not R2's, by the commands that a user
 * types; the same server behind a certificate of its own; and a server that is unfit.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { topics } from '../../schemas/archive.ts';
import { keysUnder, readCommitted, spoolObject } from '../support/committed.ts';
import { startClickHouse } from '../support/clickhouse.ts';
import { startGofakes3, startVersity } from '../support/gateway.ts';
import type { Bucket } from '../support/objects.ts';
import { gofakes3, versitygw } from '../support/peers.ts';

const [versity, unfit] = await Promise.all([versitygw(), gofakes3()]);
const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');
const startMs = Date.UTC(2026, 10, 20, 13, 30);

async function tidemark(args: readonly string[], environment: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [entry, ...args], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, stdout, stderr };
}

function settingsOf(bucket: Bucket): Record<string, string> {
  return { S3_ENDPOINT: bucket.endpoint, S3_REGION: bucket.settings.S3_REGION };
}

describe.skipIf('missing' in versity)('versitygw', () => {
  const program = 'path' in versity ? versity.path : '';

  it('keeps an archive and the partials of a day', async () => {
    const [bucket, clickhouse] = await Promise.all([startVersity(program), startClickHouse()]);
    try {
      const environment = { ...settingsOf(bucket), CLICKHOUSE_URL: clickhouse.url };
      const names: string[] = [];
      for (let request = 0; request < 60; request += 1) {
        const own = [`a-${request}`, `b-${request}`, `c-${request}`];
        const { key, body } = spoolObject(topics.traces, startMs + request, `r${request}`, own);
        await bucket.store.put(key, body);
        names.push(...own);
        if (request >= 10) continue;
        // Delivered twice.
        const again = spoolObject(topics.traces, startMs + request, `s${request}`, own);
        await bucket.store.put(again.key, again.body);
        names.push(...own);
      }
      const migrated = await tidemark(['migrate'], environment);
      expect(migrated.code, migrated.stderr).toBe(0);
      const archived = await tidemark(['archive', '--once', '--json'], environment);
      expect(archived.code, archived.stderr).toBe(0);
      expect(JSON.parse(archived.stdout)).toMatchObject({ requests: 70, rows: 210 });
      const { names: committed, repeated } = await readCommitted(bucket.store, topics.traces);
      expect(committed).toEqual(names.toSorted());
      expect(repeated).toBe(0);
      expect(await keysUnder(bucket.store, 'spool/')).toEqual([]);
      expect(await keysUnder(bucket.store, '_probe/')).toEqual([]);

      const args = ['batch', 'run', '--date', '2026-11-20', '--signal', 'traces', '--json'];
      const run = await tidemark(args, environment);
      expect(run.code, run.stderr).toBe(0);
      const query = `SELECT total_spans, duplicate_spans FROM batch_current
        WHERE toDate(period_start, 'UTC') = '2026-11-20' FORMAT JSONCompactEachRow`;
      const answer = await fetch(clickhouse.url, { method: 'POST', body: query });
      // 60 requests of 3 spans, of which 10 came twice.
      expect((await answer.text()).replaceAll('"', '').trim()).toBe('[180, 30]');
    } finally {
      await Promise.all([bucket.close(), clickhouse.stop()]);
    }
  }, 180_000);

  it('is trusted by NODE_EXTRA_CA_CERTS, and refused at once without', async () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-tls-'));
    const tls = { cert: path.join(directory, 'cert.pem'), key: path.join(directory, 'key.pem') };
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', tls.key, '-out', tls.cert];
    const kind = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', ...kind, ...files, ...subject], { stdio: 'ignore' });
    const bucket = await startVersity(program, tls);
    try {
      const environment = settingsOf(bucket);
      const trusted = { ...environment, NODE_EXTRA_CA_CERTS: tls.cert };
      const archived = await tidemark(['archive', '--once', '--json'], trusted);
      expect(archived.code, archived.stderr).toBe(0);
      const startedMs = performance.now();
      const refused = await tidemark(['archive', '--once', '--json'], environment);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/self-signed certificate.*\[OBJECT_STORE\]/);
      expect(performance.now() - startedMs).toBeLessThan(60_000);
    } finally {
      await bucket.close();
      rmSync(directory, { recursive: true, force: true });
    }
  }, 120_000);
});

describe.skipIf('missing' in unfit)('a store without conditional writes', () => {
  it('is refused by all that claim keys, with the reason', async () => {
    const bucket = await startGofakes3('path' in unfit ? unfit.path : '');
    try {
      const environment = { ...settingsOf(bucket), TIDEMARK_RETENTION: 'traces=30d' };
      for (const args of [['archive', '--once'], ['compact'], ['retain']]) {
        const refused = await tidemark(args, environment);
        expect(refused.code, args.join(' ')).toBe(1);
        const reason = /it overwrote a key in spite of If-None-Match: \* \[UNSUPPORTED_STORE\]/;
        expect(refused.stderr).toMatch(reason);
      }
      expect(await keysUnder(bucket.store, '')).toEqual([]);
    } finally {
      await bucket.close();
    }
  }, 120_000);
});
