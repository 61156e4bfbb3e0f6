/** Partials of messages as tests describe them: records written plainly, one field after the other. */
import {
  composeMessages,
  endBytes,
  namedEndBytes,
  type MessageEnd,
  type NamedEnd,
} from '../../schemas/partials/messages.ts';
import { joinSections } from '../../schemas/partials/section.ts';

export interface Messages {
  readonly producers: readonly NamedEnd[];
  readonly links: readonly NamedEnd[];
  readonly consumers: readonly MessageEnd[];
}

/** The partial of these ends, whose numbers are those of `names`. */
export function encodeMessages(
  { producers, links, consumers }: Messages,
  names: readonly string[],
): Uint8Array {
  const section = composeMessages({
    names,
    counts: {
      producers: producers.length,
      links: links.length,
      consumers: consumers.length,
    },
    pieces: [...producers.map(named), ...links.map(named), ...consumers.map(record)],
  });
  return joinSections([section]);
}

function named(end: NamedEnd): Uint8Array {
  const bytes = new Uint8Array(namedEndBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, end.traceHigh, true);
  view.setBigUint64(8, end.traceLow, true);
  view.setBigUint64(16, end.span, true);
  bytes.set(record(end), namedEndBytes - endBytes);
  return bytes;
}

function record(end: MessageEnd): Uint8Array {
  const bytes = new Uint8Array(endBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, end.durationNs, true);
  view.setUint32(8, end.tenant, true);
  view.setUint32(12, end.service, true);
  view.setUint32(16, end.peer, true);
  view.setUint8(20, Number(end.isError) + 2 * Number(end.isOpen));
  view.setUint8(21, end.peerKind);
  return bytes;
}
