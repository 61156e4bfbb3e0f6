/** Compactors that are killed at random, several at once: nothing is lost, and nothing is there twice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listLiveFiles } from '../../workers/clients/commits/archive.ts';
import { archiveSpans, hourMs } from '../support/day.ts';
import { compareInDuckdb, withCopies } from '../support/hours.ts';
import { startBucket, type Bucket } from '../support/objects.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20_261_122);
const kills = 12;
const startMs = Date.UTC(2025, 10, 21, 13);
const entry = fileURLToPath(new URL('../support/compactor.ts', import.meta.url));
let bucket: Bucket;

beforeAll(async () => {
  bucket = await startBucket();
});
afterAll(() => bucket.close());

function live() {
  return listLiveFiles(bucket.store, 'traces', startMs, startMs + 3 * hourMs);
}

/** Where to kill: after which of the compactor's words, how often said, and how long after it. */
const places = [
  { word: 'rewrite', delayMs: 150 },
  { word: 'rewritten', delayMs: 10 },
  { word: 'replaced', delayMs: 10 },
];

/** Starts a compactor, kills it at a random place, and says whether it was still at work. */
async function compactAndKill(random: () => number): Promise<boolean> {
  const place = places[Math.floor(random() * places.length)];
  const times = 1 + Math.floor(random() * 3);
  const delayMs = random() * (place?.delayMs ?? 0);
  return compact(async (words) => {
    let said = 0;
    for await (const word of words) {
      said += Number(word === place?.word);
      if (said === times) break;
    }
    await sleep(delayMs);
  });
}

/** Runs a compactor until it ends or `until` does, and says whether it had to be killed. */
async function compact(until: (words: Interface) => Promise<void>): Promise<boolean> {
  const range = [String(startMs), String(startMs + 3 * hourMs)];
  const child = spawn(process.execPath, [entry, bucket.endpoint, ...range], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await until(createInterface(child.stdout));
  child.kill('SIGKILL');
  const [code, signal] = (await ended) as [number | null, string | null];
  if (signal === null) expect(code).toBe(0);
  return signal === 'SIGKILL';
}

async function compactToTheEnd(): Promise<void> {
  await compact(async (words) => {
    await once(words, 'close');
    await sleep(500);
  });
}

const limitMs = 400_000;

it(
  `runCompaction() may be killed at any moment, two at once (${kills} times)`,
  { timeout: limitMs },
  async () => {
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    let offset = 0n;
    const archive = async (files: number) => {
      for (let file = 0; file < files; file += 1) {
        const at = startMs + Math.floor(random() * 3) * hourMs;
        const spans = randomSpans(random, 200, { hourMs: at, offset });
        await archiveSpans(bucket.store, spans, { firstOffset: offset, rowGroupRows: 70 });
        offset += 200n;
      }
    };
    await archive(20);
    let killed = 0;
    for (let round = 0; killed < kills && round < 3 * kills; round += 1) {
      const outcomes = await Promise.all([0, 1].map(() => compactAndKill(random)));
      killed += outcomes.filter(Boolean).length;
      await archive(3);
    }
    await compactToTheEnd();
    await compactToTheEnd();
    const after = await live();
    const replaced = new Set(after.replacements.flatMap(({ inputs }) => inputs.map((i) => i.key)));
    console.log({ killed, replacements: after.replacements.length, files: after.files.length });
    expect(killed).toBeGreaterThanOrEqual(kills);
    expect(after.replacements.length).toBeGreaterThan(3);
    // What commits name is all still there: nobody deletes a replaced file but the sweeper.
    const committed: string[] = [];
    for await (const page of bucket.store.list('signal=traces/')) {
      committed.push(...page.map(({ key }) => key).filter((key) => key.includes('+spool+')));
    }
    expect(committed.some((key) => replaced.has(key))).toBe(true);
    const keys = after.files.map(({ key }) => key);
    await withCopies(bucket.store, committed, (ours) =>
      withCopies(bucket.store, keys, async (theirs) => {
        const rows = Number(offset);
        const expected = { before: rows, after: rows, onlyBefore: 0, onlyAfter: 0 };
        expect(await compareInDuckdb(ours, theirs)).toEqual(expected);
      }),
    );
  },
);
