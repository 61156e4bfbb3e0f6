/** Tests of the fetching of Kafka, with a Java and a Maven that are scripts. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assertJava, javaOf, kafkaJars } from '../../../dev/kafka/jars.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-jars-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Puts a program on a PATH that has nothing else but the shell's own. */
const program = (name: string, script: string): { PATH: string } => {
  const file = path.join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return { PATH: `${directory}:/usr/bin:/bin` };
};
const nothing = { PATH: '/nonexistent' };

describe('assertJava()', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', true],
    ['java version "21" 2023-09-19 LTS', true],
    ['openjdk version "11.0.27" 2025-04-15', false],
    ['java version "1.8.0_301"', false],
    ['something else', false],
  ])('of %j', async (text, isGood) => {
    const environment = program('java', `echo '${text}' >&2`);
    const answer = assertJava(environment);
    if (isGood) await expect(answer).resolves.toBeUndefined();
    else await expect(answer).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
  });

  it('says what to do where there is none, and prefers JAVA_HOME', async () => {
    await expect(assertJava(nothing)).rejects.toMatchObject({
      code: 'PROGRAM_MISSING',
      message: expect.stringContaining('install a JRE 17 or newer') as string,
    });
    expect(javaOf({ JAVA_HOME: '/opt/java' })).toBe('/opt/java/bin/java');
  });
});

const cacheOf = (): string => path.join(directory, 'cache');
const copies = (script: string): { PATH: string } =>
  program(
    'mvn',
    `for word in "$@"; do case "$word" in -DoutputDirectory=*) out="\${word#*=}";; esac; done
     echo x >> ${directory}/calls
     ${script}`,
  );
const onLine = (): void => undefined;

describe('kafkaJars()', () => {
  it('fetches once for several at a time, and never shows a directory that is not complete', async () => {
    const environment = copies('touch "$out/one.jar"; sleep 0.5; touch "$out/two.jar"');
    const lines: string[] = [];
    const options = { cache: cacheOf(), environment, onLine: (line: string) => lines.push(line) };
    const found = await Promise.all([kafkaJars(options), kafkaJars(options), kafkaJars(options)]);
    expect(new Set(found).size).toBe(1);
    expect(readdirSync(found[0] ?? '').toSorted()).toEqual(['one.jar', 'two.jar']);
    const callsBefore = readFileSync(path.join(directory, 'calls'), 'utf8');
    expect(await kafkaJars(options)).toBe(found[0]);
    expect(readFileSync(path.join(directory, 'calls'), 'utf8')).toBe(callsBefore);
    // Nothing but the jars and the lock's directory is left.
    expect(readdirSync(cacheOf()).length).toBe(2);
    expect(lines[0]).toContain('Fetching Kafka');
  });

  it('says that Maven is missing, or what it said when it failed; nothing is left', async () => {
    const missing = kafkaJars({ cache: cacheOf(), environment: nothing, onLine });
    await expect(missing).rejects.toMatchObject({ code: 'PROGRAM_MISSING' });
    const environment = copies('touch "$out/one.jar"; echo "[ERROR] no network"; exit 1');
    await expect(kafkaJars({ cache: cacheOf(), environment, onLine })).rejects.toMatchObject({
      code: 'PROGRAM_ENDED',
      message: expect.stringContaining('no network') as string,
    });
    expect(readdirSync(cacheOf())).toEqual(['kafka.lock']);
  });

  it('refuses a cache that cannot be written', async () => {
    writeFileSync(path.join(directory, 'file'), '');
    const cache = path.join(directory, 'file', 'cache');
    const options = { cache, environment: nothing, onLine };
    await expect(kafkaJars(options)).rejects.toMatchObject({ code: 'DATA_DIRECTORY' });
    expect(existsSync(cache)).toBe(false);
  });
});
