/** `tidemark replay` in a process of its own that is killed again and again: nothing is missing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { archive } from '../support/history.ts';
import { linesOf } from '../support/items.ts';
import { startBucket } from '../support/objects.ts';
import { encodeTraces } from '../support/otlp.ts';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');
const atMs = Date.UTC(2026, 10, 20, 12);

function spans(from: number, count: number): Uint8Array {
  const all = Array.from({ length: count }, (_, index) => {
    const id = Buffer.alloc(16, 1);
    id.writeUInt32BE(from + index);
    const startTimeUnixNano = String(BigInt(atMs) * 1_000_000n);
    return { traceId: id, spanId: id.subarray(0, 8), name: `n${from + index}`, startTimeUnixNano };
  });
  return encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans: all }] }] });
}

describe('tidemark replay --state', () => {
  it('goes on after kill -9: every item arrives, and only requests under way twice', async () => {
    const bucket = await startBucket();
    const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-replay-kill-'));
    const lines: string[] = [];
    let requests = 0;
    const reached = async (count: number, signal: AbortSignal): Promise<void> => {
      for (;;) {
        if (requests >= count || signal.aborted) return;
        await pause(5);
      }
    };
    const server = createServer((request, response) => {
      void buffer(request)
        .then((body) => {
          lines.push(...linesOf('traces', gunzipSync(body)));
          requests += 1;
          return pause(20);
        })
        .finally(() => response.writeHead(200).end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      for (const from of [0, 1000]) {
        const sent = { receivedMs: atMs, request: spans(from, 1000) };
        await archive(bucket.store, 'traces', [sent]);
      }
      const args = ['replay', '--from', '2026-11-20', '--to', '2026-11-21', '--items', '20'];
      const more = ['--endpoint', endpoint, '--state', path.join(directory, 'state')];
      let [kills, code]: [number, number | null] = [0, null];
      while (code === null && kills < 20) {
        const child = spawn(process.execPath, [entry, ...args, ...more], {
          env: { PATH: process.env['PATH'], S3_ENDPOINT: bucket.endpoint },
          stdio: 'ignore',
        });
        const closed = once(child, 'close');
        const enough = requests + 8;
        // Once it has sent some, in the middle of whatever it does then.
        const wait = new AbortController();
        if (kills < 3) await Promise.race([closed, reached(enough, wait.signal)]);
        wait.abort();
        if (kills < 3) child.kill('SIGKILL');
        await closed;
        code = child.exitCode;
        if (code === null) kills += 1;
      }
      expect(code).toBe(0);
      expect(kills).toBe(3);
      expect(new Set(lines).size).toBe(2000);
      expect(lines.length).toBeLessThanOrEqual(2000 + kills * 4 * 20);
    } finally {
      server.closeAllConnections();
      server.close();
      await bucket.close();
      rmSync(directory, { recursive: true });
    }
  }, 180_000);
});
