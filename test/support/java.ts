/** Runs Kafka's own Java clients (`Peer.java`) with the jars of the embedded broker. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { javaOf, kafkaJars } from '../../dev/kafka/jars.ts';

/** What `Peer.java` writes to its output. Throws with its errors when it fails. */
export async function runPeer(args: readonly string[], input?: Uint8Array): Promise<Buffer> {
  const environment = process.env;
  const jars = await kafkaJars({ environment, onLine: () => undefined });
  const options = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx1g'];
  const source = path.join(import.meta.dirname, 'Peer.java');
  const child = spawn(
    javaOf(environment),
    [...options, '-cp', path.join(jars, '*'), source, ...args],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const [output, errors]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  // It may end before it has read all; then its errors say why.
  child.stdin.on('error', () => undefined).end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return Buffer.concat(output);
  throw new Error(`Peer.java ${args[0]} failed: ${Buffer.concat(errors).toString()}`);
}

/** Values to partition 0 of topics, as the Java producer writes them with each `compression.type`. */
export async function produceByJava(
  brokers: string,
  compressions: Readonly<Record<string, string>>,
  values: readonly Uint8Array[],
): Promise<void> {
  const lines = values.map((value) => Buffer.from(value).toString('base64')).join('\n');
  const targets = Object.entries(compressions).map(([topic, codec]) => `${topic}=${codec}`);
  await runPeer(['produce', brokers, ...targets], Buffer.from(lines));
}
