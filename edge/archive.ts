/**
 * The archive leg: gives the OTLP of a batch to Kafka through a REST proxy, and to the spool in R2
 * whatever Kafka does not surely have. What Kafka has acknowledged is never spooled as well.
 */
import { archiveSpoolPrefix, pieceId, spoolName, topics } from '../schemas/archive.ts';
import type { Signal, SpoolKeyParts } from '../schemas/archive.ts';
import { produceRecordsMax } from '../schemas/limits.ts';
import type { Settings } from '../schemas/settings.ts';
import { settle } from './gate.ts';
import type { Gate } from './gate.ts';
import { copyOf, viewOf } from './lend.ts';
import type { Lent } from './lend.ts';
import { produce } from './archive/produce.ts';
import { recordJsonBytes } from './archive/proxy.ts';
import type { Proxy } from './archive/proxy.ts';
import type { Fate } from './archive/report.ts';
import type { Kafka, Sinks } from './sink.ts';
import { split } from './archive/split.ts';
import type { Piece } from './archive/split.ts';
import { spool } from './spool.ts';
import type { SpoolTools } from './spool.ts';

/** The requests of one tenant in a batch, as the archive gets them. */
export interface ArchivePart {
  readonly parts: SpoolKeyParts;
  /** A request in protobuf, as received, or several, one after the other: protobuf merges them. */
  readonly otlp: Uint8Array;
  /** Names these bytes, their tenant and signal; of several requests, all names in order. */
  readonly digest: string;
}

/** A part whose request may still lie in the transcoder's memory. */
export interface FreshPart extends Omit<ArchivePart, 'otlp'> {
  readonly otlp: Lent;
}

export interface ArchiveTools extends SpoolTools {
  readonly sinks: Sinks;
}

export type ArchiveSettings = Pick<Settings, 'TIDEMARK_SINK_TIMEOUT_MS'>;

/**
 * Returns when Kafka or the spool has every byte of the parts, and says whether both may have some of it. Throws
 * SINK_FAILED, retryable, when neither has: some of it may be stored then, and will be there twice
 * when the client sends again.
 */
export async function archive(
  signal: Signal,
  parts: readonly FreshPart[],
  gate: Gate,
  settings: ArchiveSettings,
  tools: ArchiveTools,
): Promise<{ readonly isDoubtful: boolean }> {
  const { kafka } = tools.sinks;
  const put = ({ names, bytes }: Left) => {
    const key = `${archiveSpoolPrefix(topics[signal])}${spoolName(names)}`;
    return spool('archive', key, bytes, gate, settings, tools);
  };
  if (kafka === undefined || kafka.breaker.isOpen) {
    if (kafka) tools.meter.add('records_total', parts.length, 'result="skipped"');
    await settle(parts.map((part) => put(wholeOf(part))));
    return { isDoubtful: false };
  }
  const shares = parts.map((part) => sharesOf(signal, part, kafka.proxy));
  const calls = callsOf(shares.flat(), kafka.proxy);
  await settle(calls.map((call) => gate(() => send(topics[signal], call, kafka, settings, tools))));
  const left = parts.flatMap((part, index) => leftOf(part, shares[index] ?? []));
  await settle(left.map(put));
  return { isDoubtful: shares.flat().some(({ fate }) => fate === 'unknown') };
}

/** A piece of a part on its way, and what became of it. */
interface Share {
  readonly part: FreshPart;
  readonly piece: Piece;
  fate: Fate | 'oversized' | 'skipped';
}

function sharesOf(signal: Signal, part: FreshPart, proxy: Proxy): Share[] {
  return piecesOf(signal, part.otlp, proxy.recordBytesMax).map((piece) => ({
    part,
    piece,
    fate: piece.isOversized ? 'oversized' : 'skipped',
  }));
}

/** What is split has to stay for as long as its pieces are wanted. */
function piecesOf(signal: Signal, otlp: Lent, bytesMax: number): Piece[] {
  const byteLength = viewOf(otlp).length;
  if (byteLength > bytesMax) return split(signal, copyOf(otlp), bytesMax);
  return [{ byteLength, isOversized: false, bytes: () => viewOf(otlp) }];
}

/** The shares that Kafka may take, in calls of as many as fit. */
function callsOf(shares: readonly Share[], proxy: Proxy): Share[][] {
  const calls: Share[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const share of shares) {
    if (share.fate === 'oversized') continue;
    const jsonBytes = recordJsonBytes(share.piece.byteLength);
    const last = calls.at(-1);
    const fits = bytes + jsonBytes <= proxy.requestBytesMax;
    if (last !== undefined && fits && last.length < produceRecordsMax) {
      last.push(share);
      bytes += jsonBytes;
    } else {
      calls.push([share]);
      bytes = jsonBytes;
    }
  }
  return calls;
}

/** One call, unless the proxy has begun to fail while it waited. Notes the fate of each share. */
async function send(
  topic: string,
  shares: readonly Share[],
  kafka: Kafka,
  settings: ArchiveSettings,
  tools: ArchiveTools,
): Promise<void> {
  const { proxy, breaker, fetch } = kafka;
  if (!breaker.admit()) {
    tools.meter.add('records_total', shares.length, 'result="skipped"');
    return;
  }
  const records = shares.map(({ part: { parts }, piece }) => ({ ...parts, otlp: piece.bytes() }));
  const { fates, isFaulty, what } = await produce(topic, records, proxy, settings, {
    ...tools,
    fetch,
  });
  if (isFaulty) {
    if (breaker.failed()) tools.meter.add('breaker_opened_total', 1, 'sink="kafka"');
  } else breaker.succeeded();
  for (const [index, share] of shares.entries()) {
    share.fate = fates[index] ?? 'unknown';
    tools.meter.add('records_total', 1, `result="${share.fate}"`);
  }
  const stored = fates.filter((fate) => fate === 'stored').length;
  const isWhole = stored === shares.length;
  tools.meter.add('sink_total', 1, `sink="kafka",result="${isWhole ? 'ok' : 'failed'}"`);
  if (isWhole) return;
  tools.warn(`Kafka has ${stored} of ${shares.length} records for ${topic}: the proxy ${what}`);
}

/** What goes to the spool: made into bytes only when its turn comes. */
interface Left {
  readonly names: SpoolKeyParts;
  readonly bytes: () => Uint8Array;
}

function wholeOf({ parts, otlp }: FreshPart): Left {
  return { names: parts, bytes: () => copyOf(otlp) };
}

/**
 * What Kafka does not surely have of a part: the whole when it has nothing, else piece by piece.
 */
function leftOf(part: FreshPart, shares: readonly Share[]): Left[] {
  if (shares.every(({ fate }) => fate !== 'stored')) return [wholeOf(part)];
  return shares.flatMap(({ piece, fate }, index) => {
    if (fate === 'stored') return [];
    const requestId = pieceId(part.parts.requestId, index);
    return [{ names: { ...part.parts, requestId }, bytes: piece.bytes }];
  });
}
