/**
 * What a span calls the other side of its call by, from its attributes: for files that were archived before
 * there were columns for it. The rules are those of docs/GRAPH.md, as `assembly/otlp/peer.ts` has them.
 */

export interface Peer {
  /** One of `peerKinds`; empty for none. */
  readonly kind: string;
  readonly name: string;
}

const none: Peer = { kind: '', name: '' };

/** The peer of a client, producer or consumer span. Of a key that comes twice the first text counts. */
export function peerOf(attributes: readonly (readonly [key: string, value: string])[]): Peer {
  const texts = new Map(attributes.filter(([, text]) => text !== '').toReversed());
  const either = (key: string, older = key) => texts.get(key) ?? texts.get(older) ?? '';
  const own = either('peer.service');
  const database = join(either('db.system.name', 'db.system'), either('db.namespace', 'db.name'));
  if (database !== '') return { kind: 'database', name: own || database };
  const messaging = join(
    either('messaging.system'),
    either('messaging.destination.name', 'messaging.destination'),
  );
  if (messaging !== '') return { kind: 'messaging_system', name: own || messaging };
  const name = own || either('server.address', 'net.peer.name');
  return name === '' ? none : { kind: 'virtual_node', name };
}

function join(first: string, second: string): string {
  return first === '' || second === '' ? first + second : `${first}/${second}`;
}
