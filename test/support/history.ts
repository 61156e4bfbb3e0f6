/** An archive as the archiver leaves it, made of given requests, for tests of what reads it. */
import { randomBytes } from 'node:crypto';
import { archiveSpoolPrefix, spoolName, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { readSettings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { loadTranscoder } from '../aggregator-as/module.ts';

export interface Sent {
  readonly receivedMs: number;
  readonly request: Uint8Array;
  /** @default 'acme' */
  readonly tenantId?: string;
}

let sequence = 0;

function ignore(): void {}

/** Archives the requests in one flush of the spool. */
export async function archive(
  store: ObjectStore,
  signal: Signal,
  requests: readonly Sent[],
): Promise<void> {
  for (const { receivedMs, request, tenantId = 'acme' } of requests) {
    const requestId = `r${String((sequence += 1)).padStart(6, '0')}`;
    const name = spoolName({ receivedMs, requestId, tenantId });
    await store.put(`${archiveSpoolPrefix(topics[signal])}${name}`, request);
  }
  await archiveSpool(store);
}

/** Archives what waits in the spool of `store`, every signal. */
export async function archiveSpool(store: ObjectStore): Promise<void> {
  await runArchiver({
    store,
    settings: readSettings({ TIDEMARK_PAST_MAX_MS: String(400 * 86_400_000) }),
    transcoder: await loadTranscoder(),
    clock: { now: () => Date.now(), sleep: () => Promise.resolve() },
    random: (byteCount) => randomBytes(byteCount),
    log: { info: ignore, warn: ignore, debug: ignore },
    signal: new AbortController().signal,
    codeVersion: 'test',
    once: true,
  });
}
