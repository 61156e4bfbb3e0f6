/** What is kept of Kafka beside its jars; that brokers start with it, all tests on Kafka show. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { classesOf } from '../../../dev/kafka/broker.ts';
import { keepClasses } from '../../../dev/kafka/classes.ts';

it('keepClasses() tells what went wrong and does not throw; what is there it leaves alone', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-classes-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const java = path.join(directory, 'bin', 'java');
  mkdirSync(path.dirname(java));
  writeFileSync(java, '#!/bin/sh\necho no memory\nexit 1\n');
  chmodSync(java, 0o755);
  const jars = path.join(directory, 'kafka-1');
  const lines: string[] = [];
  const environment = { PATH: process.env['PATH'], JAVA_HOME: directory };
  const options = { environment, onLine: (line: string) => void lines.push(line) };
  await keepClasses(jars, options);
  expect(existsSync(classesOf(jars))).toBe(false);
  expect(lines).toEqual([
    expect.stringMatching(/^Keeping the classes of Kafka/),
    expect.stringMatching(
      /^Kafka starts without its classes kept: Program kafka ended.*no memory/s,
    ),
  ]);
  writeFileSync(classesOf(jars), 'classes');
  await keepClasses(jars, options);
  expect(lines).toHaveLength(2);
});
