/**
 * The parts of a shard's partial of spans, one behind the other: the groups, the service graph's edges, and
 * the messages that only the merge can join. It knows where they begin, not what they say.
 */
import { messagePreamble } from '../../schemas/partials/messages.ts';
import { spanPreamble } from '../../schemas/partials/spans.ts';
import { preambleBytes } from '../../schemas/partials/preamble.ts';
import { readExactly, type PartialReader } from '../merge/ranges.ts';

/** Readers of the parts, each as of an object of its own. */
export interface Sections {
  readonly groups: PartialReader;
  readonly edges: PartialReader;
  readonly messages: PartialReader;
}

/** Finds the parts. Throws what `reader` throws, and CORRUPT_ARCHIVE when they are not there. */
export async function openSections(reader: PartialReader): Promise<Sections> {
  const edgesStart = spanPreamble.byteLength(await readExactly(reader, 0, preambleBytes));
  const edges = await readExactly(reader, edgesStart, edgesStart + preambleBytes);
  const messagesStart = edgesStart + spanPreamble.byteLength(edges);
  const messages = await readExactly(reader, messagesStart, messagesStart + preambleBytes);
  const end = messagesStart + messagePreamble.byteLength(messages);
  return {
    groups: part(reader, 0, edgesStart),
    edges: part(reader, edgesStart, messagesStart),
    messages: part(reader, messagesStart, end),
  };
}

function part(reader: PartialReader, start: number, end: number): PartialReader {
  return {
    byteLength: end - start,
    read: (from, to) => reader.read(start + from, Math.min(start + to, end)),
  };
}

/** A reader of bytes in memory. */
export function memoryReader(bytes: Uint8Array): PartialReader {
  return {
    byteLength: bytes.length,
    read: (from, to) => Promise.resolve(bytes.subarray(from, to)),
  };
}
