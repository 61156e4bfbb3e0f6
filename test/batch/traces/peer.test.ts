import { expect, it } from 'vitest';
import { peerOf } from '../../../batch/traces/peer.ts';

it.each([
  [
    'a database by system and namespace',
    { 'db.system.name': 'postgresql', 'db.namespace': 'shop' },
    'database',
    'postgresql/shop',
  ],
  [
    'a database of old conventions',
    { 'db.system': 'redis', 'db.name': '0' },
    'database',
    'redis/0',
  ],
  [
    'a database by its name alone',
    { 'db.name': 'shop', 'server.address': 'db1' },
    'database',
    'shop',
  ],
  [
    'a database that the span names',
    { 'peer.service': 'users', 'db.system': 'mysql' },
    'database',
    'users',
  ],
  [
    'a queue',
    { 'messaging.system': 'kafka', 'messaging.destination.name': 'orders' },
    'messaging_system',
    'kafka/orders',
  ],
  ['an old queue', { 'messaging.destination': 'orders' }, 'messaging_system', 'orders'],
  [
    'a host',
    { 'server.address': 'api.example', 'net.peer.name': 'old' },
    'virtual_node',
    'api.example',
  ],
  ['nothing for empty texts', { 'db.name': '', 'server.address': '' }, '', ''],
])('peerOf() names %s', (_, attributes, kind, name) => {
  expect(peerOf(Object.entries(attributes))).toEqual({ kind, name });
});

it('peerOf() takes the first text of a key that comes twice', () => {
  const attributes = [
    ['server.address', ''],
    ['server.address', 'first'],
    ['server.address', 'second'],
  ] as const;
  expect(peerOf(attributes)).toEqual({ kind: 'virtual_node', name: 'first' });
});
