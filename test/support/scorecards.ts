/**
 * Checks Tidemark and the OpenTelemetry Collector over real HTTP, as `tidemark check` does, and
 * writes their scorecards into docs/conformance when it is run as a program.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect } from '../../bin/check/http.ts';
import { scorecard } from '../../bin/check/report.ts';
import { rows } from '../../bin/check/rows.ts';
import { check } from '../../bin/check/run.ts';
import type { Outcome } from '../../bin/check/run.ts';
import { startCollector } from './collector.ts';
import { collector } from './peers.ts';
import { seededRandom } from './random.ts';
import { startReceived } from './received.ts';

/** Where scorecards are kept. */
export const scorecardsDirectory = path.join(import.meta.dirname, '../../docs/conformance');

/** Long, because machines that run tests are busy. */
const timeoutMs = 60_000;

/** The outcomes of all rows; bytes that are random for users are always the same here. */
export function checkAll(endpoint: string): Promise<Outcome[]> {
  const random = seededRandom(80);
  const connection = connect(
    { url: new URL(endpoint), headers: {}, timeoutMs },
    {
      now: () => Date.now(),
      randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)),
    },
  );
  return check(connection, { rows });
}

/** Verdicts by row of a scorecard as text. */
export function verdictsOf(text: string): Map<number, string> {
  const lines = text.matchAll(/^ ?(\d{1,2}) {2}(\S+) /gm);
  return new Map(Array.from(lines, ([, row, verdict = '']) => [Number(row), verdict]));
}

async function write(name: string, title: string, endpoint: string): Promise<void> {
  const text = scorecard(title, await checkAll(endpoint));
  writeFileSync(path.join(scorecardsDirectory, `${name}.txt`), text);
}

if (import.meta.main) {
  const tidemark = await startReceived();
  await write('tidemark', 'Tidemark, embedded stack', tidemark.endpoint);
  await tidemark.close();
  const peer = await collector();
  if ('missing' in peer) throw new Error(`Cannot check the Collector: ${peer.missing}`);
  const running = await startCollector(peer.path, { nop: {} });
  await write('collector', 'OpenTelemetry Collector 0.155.0, otlp receiver', running.endpoint);
  await running.stop();
}
