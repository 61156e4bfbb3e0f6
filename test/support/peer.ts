/** What a span calls its peer by, by the rules of docs/GRAPH.md, plainly. */

export interface Peer {
  readonly kind: string;
  readonly name: string;
}

function join(...parts: string[]): string {
  return parts.filter((part) => part !== '').join('/');
}

/** `spanKind` is the archive's word, such as `Client`. */
export function peerOf(spanKind: string, attributes: Readonly<Record<string, string>>): Peer {
  const has = ['Client', 'Producer', 'Consumer'].includes(spanKind);
  const find = (...keys: string[]) =>
    (has && keys.map((key) => attributes[key]).find((text) => text !== '' && text)) || '';
  const names = {
    database: join(find('db.system.name', 'db.system'), find('db.namespace', 'db.name')),
    messaging_system: join(
      find('messaging.system'),
      find('messaging.destination.name', 'messaging.destination'),
    ),
    virtual_node: find('peer.service', 'server.address', 'net.peer.name'),
  };
  const [found] = Object.entries(names).filter(([, name]) => name !== '');
  if (found === undefined) return { kind: '', name: '' };
  return { kind: found[0], name: find('peer.service') || found[1] };
}
