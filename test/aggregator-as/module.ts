/** The built transcoder, brought up to date first, and the receipt that tests use. */
import { readFileSync } from 'node:fs';
import { build } from '../../aggregator-as/build.ts';
import type { Provenance, Receipt } from '../../aggregator-as/host.ts';
import { receivedMs } from './generate.ts';

/** Compiles `build/transcode.wasm` of the sources as they are. */
export async function loadTranscoder(): Promise<WebAssembly.Module> {
  await build(() => {});
  const path = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
  return await WebAssembly.compile(Uint8Array.from(readFileSync(path)));
}

const hourMs = 3_600_000;

export const receipt: Receipt = {
  tenantId: 'acme',
  receivedMs,
  pastMaxMs: 24 * hourMs,
  futureMaxMs: hourMs,
};

export const provenance: Provenance = {
  ...receipt,
  topic: 'otlp_spans',
  partition: -1,
  offset: 7n,
};
