/**
 * Ways to break the protocol: each is one piece of the programs' text and what stands in its place.
 * The simulation must notice every one of them, or it proves nothing.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface Mutant {
  readonly breaks: string;
  /** Below the repository's root. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
  /** Kafka partitions of the schedules that notice it. */
  readonly partitions: number;
  /** Where its schedules begin: shortly before the first seed that notices it. @default 1 */
  readonly firstSeed?: number;
}

const root = new URL('../../', import.meta.url);

export const mutants: Readonly<Record<string, Mutant>> = {
  unconditional: {
    breaks: 'commits are stored without If-None-Match',
    file: 'workers/clients/commits/claim.ts',
    find: "{ ...options, ifNoneMatch: '*' }",
    put: 'options',
    partitions: 0,
  },
  deaf: {
    breaks: 'a 412 is taken for success',
    file: 'workers/clients/commits/claim.ts',
    find: 'if (!(error instanceof ConflictError)) throw error;',
    put: "if (!(error instanceof ConflictError)) throw error; return 'won';",
    partitions: 0,
  },
  modest: {
    breaks: 'the 412 of its own earlier success is taken for a loss',
    file: 'workers/clients/commits/claim.ts',
    find: "=== text ? 'won' : 'lost'",
    put: "=== text ? 'lost' : 'lost'",
    partitions: 0,
  },
  hasty: {
    breaks: 'the commit is stored before its files are',
    file: 'workers/log.ts',
    find: 'await arrived();',
    put: 'void arrived();',
    partitions: 0,
  },
  careless: {
    breaks: 'the spool is deleted before the commit is stored',
    file: 'workers/log.ts',
    find: 'const outcome = await this.#commit(commit);',
    put: 'await this.source.adopt(commit, {}); const outcome = await this.#commit(commit);',
    partitions: 0,
  },
  tidy: {
    breaks: 'files are dropped when nobody knows whether their commit was stored',
    file: 'workers/log.ts',
    find: 'const outcome = await this.#commit(commit);',
    put: `const outcome = await this.#commit(commit).catch(async (error) => {
      await this.#discard(stored);
      throw error;
    });`,
    partitions: 0,
  },
  nameless: {
    breaks: 'all attempts at one offset have one name',
    file: 'workers/log.ts',
    find: 'id: this.#context.randomName()',
    put: "id: 'same'",
    partitions: 0,
  },
  stubborn: {
    breaks: 'the log is not read again after a lost commit',
    file: 'workers/log.ts',
    find: "this.#head = undefined;\n    counters.commits.inc({ signal, outcome: 'conflict' });",
    put: "counters.commits.inc({ signal, outcome: 'conflict' });",
    partitions: 0,
  },
  prophetic: {
    breaks: "the spool's watermark does not wait for requests on their way",
    file: 'workers/sources/spool.ts',
    find: 'this.#listedMs - spoolVisibleMsMax',
    put: 'this.#listedMs',
    partitions: 0,
  },
  faithful: {
    breaks: 'a Kafka partition goes on where its reader was, not where the log ends',
    file: 'workers/sources/kafka.ts',
    find: 'else this.#goTo(next);\n    this.#adopted',
    put: 'else this.settle();\n    this.#adopted',
    partitions: 2,
    firstSeed: 80,
  },
  credulous: {
    breaks: 'a gap in what was fetched is believed when it is seen once',
    file: 'workers/sources/kafka.ts',
    find: 'if (!isSeenAgain) return',
    put: 'if (this.#isClosed) return',
    partitions: 2,
  },
  forgetful: {
    breaks: 'a gap is believed when any gap was seen at its place',
    file: 'workers/sources/kafka.ts',
    find: ' && this.#gap[1] === first',
    put: '',
    partitions: 2,
    firstSeed: 185,
  },
  punctual: {
    breaks: "Kafka's watermark trusts the clocks of producers",
    file: 'workers/sources/kafka.ts',
    find: 'Math.min(reachedMs, nowMs) - kafkaVisibleMsMax',
    put: 'Math.min(reachedMs, nowMs)',
    partitions: 2,
  },
  drowsy: {
    breaks: "Kafka's watermark takes the arrival of an answer for the time of what it says",
    file: 'workers/sources/kafka.ts',
    find: 'this.#end = { offset: batch.highWatermark, seenMs };',
    put: 'this.#end = { offset: batch.highWatermark, seenMs: Math.max(seenMs, heldSinceMs) };',
    partitions: 2,
    firstSeed: 1150,
  },
  impatient: {
    breaks: 'the sweeper deletes files whose commit does not exist yet',
    file: 'workers/clients/commits/fates.ts',
    find: "<= firstOffset) return 'pending'",
    put: "<= firstOffset) return 'orphan'",
    partitions: 0,
    firstSeed: 40,
  },
  rude: {
    breaks: 'the sweeper deletes what was replaced at once',
    file: 'workers/clients/commits/fates.ts',
    find: "if (!replaced.old.has(by.sequence)) return 'young';",
    put: '',
    partitions: 0,
  },
  unsynchronized: {
    breaks: "the sweeper goes by a clock that is a minute ahead of the store's",
    file: 'workers/sweep.ts',
    find: 'if (nowMs !== undefined) return nowMs;',
    put: 'if (nowMs !== undefined) return nowMs + 60_000;',
    partitions: 0,
  },
  presumptuous: {
    breaks: 'the sweeper deletes outputs without taking their number',
    file: 'workers/sweep.ts',
    find: "return (await putOnce(store, key, JSON.stringify(replacement))) === 'won';",
    put: 'return key !== JSON.stringify(replacement);',
    partitions: 0,
    firstSeed: 130,
  },
  backward: {
    breaks: 'a reader lists replacements before file keys',
    file: 'workers/clients/commits/archive.ts',
    find: `const listed = await listFileKeys(store, signal, fromHourMs, toHourMs);
  const replacements = await listReplacements(store, signal, fromHourMs, toHourMs);`,
    put: `const replacements = await listReplacements(store, signal, fromHourMs, toHourMs);
  const listed = await listFileKeys(store, signal, fromHourMs, toHourMs);`,
    partitions: 0,
    firstSeed: 700,
  },
  negligent: {
    breaks: 'a compactor drops its files when nobody knows whether its replacement was stored',
    file: 'workers/compact/hour.ts',
    find: 'const outcome = await putOnce(store, key, text);',
    put: `const outcome = await putOnce(store, key, text).catch(async (error) => {
    await drop();
    throw error;
  });`,
    partitions: 0,
    firstSeed: 320,
  },
};

/**
 * From now on the mutant's file is loaded as the mutant has it. To be called before the first import
 * of any program. Throws an `Error` when the piece of text is not there exactly once any more.
 */
export function mutate(name: string): Mutant {
  const mutant = mutants[name];
  if (!mutant) throw new Error(`There is no mutant "${name}"`);
  const url = new URL(mutant.file, root);
  const text = readFileSync(fileURLToPath(url), 'utf8');
  if (text.split(mutant.find).length !== 2) {
    throw new Error(`The mutant "${name}" does not fit ${mutant.file} any more: adapt it`);
  }
  registerHooks({
    load: (loaded, context, next) => {
      if (loaded !== url.href) return next(loaded, context);
      const source = text.replace(mutant.find, () => mutant.put);
      return { format: 'module-typescript', shortCircuit: true, source };
    },
  });
  return mutant;
}
