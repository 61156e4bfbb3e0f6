/** What a program that takes trace requests costs: CPU time a span, and how many it takes. */
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { makeRequests, requestType, spansPerRequest } from '../payload.ts';
import { load } from './load.ts';
import { cpuMs, headers } from './program.ts';
import type { Program } from './program.ts';

const connections = 8;
export const warmUps = 200;
export const requests = 1500;
/** CPU time in a second of a program that is idle, and seconds that it may take to become so. */
const idleMs = 30;
const settleTurnsMax = 10;

export interface Cost {
  /** CPU time, in µs. */
  readonly perSpan: number;
  readonly perSecond: number;
}

/** The same bytes for every program. */
const bodies = () => makeRequests(requestType(), 16).map((body) => gzipSync(body));
let made: Uint8Array[] | undefined;

/** Sends the first requests, which are not measured; returns their spans. */
export async function warmUp(program: Program): Promise<number> {
  await send(program, warmUps);
  await settle(program.pid);
  return warmUps * spansPerRequest;
}

/** Sends `requests` requests to a program that is idle. Throws when one fails. */
export async function costOf(program: Program): Promise<Cost> {
  await settle(program.pid);
  const before = cpuMs(program.pid);
  const seconds = await send(program, requests);
  // What a program puts off, such as sending to Kafka, is its cost as well.
  await settle(program.pid);
  const microseconds = (cpuMs(program.pid) - before) * 1000;
  const spans = requests * spansPerRequest;
  return { perSpan: microseconds / spans, perSecond: spans / seconds };
}

async function send(program: Program, count: number): Promise<number> {
  made ??= bodies();
  const url = `${program.url}/v1/traces`;
  const { failed, reasons, seconds } = await load({
    url,
    headers,
    bodies: made,
    connections,
    requests: count,
  });
  if (failed === 0) return seconds;
  throw new Error(`${failed} of ${count} requests failed: ${JSON.stringify(reasons)}`);
}

/** Waits until a process has been idle for a second, but not for long. */
async function settle(pid: number): Promise<void> {
  let before = cpuMs(pid);
  for (let turn = 0; turn < settleTurnsMax; turn += 1) {
    await pause(1000);
    const now = cpuMs(pid);
    if (now - before <= idleMs) return;
    before = now;
  }
}
