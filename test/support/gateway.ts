/** S3 servers that are neither R2's nor ours, as processes of one test file, each with an empty bucket. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '../../dev/port.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openStore } from '../../workers/clients/store/objects.ts';
import type { Bucket } from './objects.ts';

const readyMs = 30_000;

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * Starts versitygw, the program at `program`, on a directory of its own. With a certificate it speaks
 * TLS, and only clients that trust it can use it.
 */
export function startVersity(program: string, tls?: Certificate): Promise<Bucket> {
  const certificate = tls ? ['--cert', tls.cert, '--key', tls.key] : [];
  return startServer(program, tls, (port, directory) => {
    const address = ['--port', `127.0.0.1:${port}`, '--keep-alive', '--quiet'];
    return [...address, ...certificate, 'posix', directory];
  });
}

/** Starts gofakes3, which keeps everything in memory. */
export function startGofakes3(program: string): Promise<Bucket> {
  return startServer(program, undefined, (port) => [
    '-host',
    `127.0.0.1:${port}`,
    '-backend',
    'mem',
  ]);
}

async function startServer(
  program: string,
  tls: Certificate | undefined,
  argsOf: (port: number, directory: string) => string[],
): Promise<Bucket> {
  const [port = 0] = await freePorts(1);
  const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const settings = readSettings({ S3_ENDPOINT: endpoint, S3_REGION: 'us-east-1' });
  const { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = settings;
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-s3-'));
  const child = spawn(program, argsOf(port, directory), {
    env: { ...process.env, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    stdio: 'ignore',
  });
  const store = openStore(settings);
  const close = async (): Promise<void> => {
    store.close();
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
    rmSync(directory, { recursive: true, force: true });
  };
  const client = new S3Client({
    endpoint,
    region: settings.S3_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
    requestHandler: { httpsAgent: new https.Agent({ ca: tls && readFileSync(tls.cert) }) },
  });
  try {
    await ready(() => client.send(new CreateBucketCommand({ Bucket: settings.S3_BUCKET })));
  } catch (error) {
    await close();
    throw error;
  } finally {
    client.destroy();
  }
  return { store, settings, endpoint, close };
}

/** Waits until `task` succeeds. */
async function ready(task: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + readyMs;
  for (;;) {
    try {
      await task();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await pause(50);
    }
  }
}
