/** Owners' attributes laid side by side, so that a row of columns copies them in two runs. */
import { put } from '../memory/bytes';
import { capacityFault, fail } from '../otlp/fault';
import { allocate, slack } from '../memory/memory';
import { attrBytes, Attr, Resource, Scope } from '../otlp/record';

/** Lays the keys, then the values, of a resource one after the other. False without room. */
export function joinResource(resource: Resource): bool {
  const isJoined = join(
    resource.attrs,
    resource.attrCount,
    resource.keyBytes,
    resource.valueBytes,
  );
  resource.keys = <u32>joined;
  return isJoined;
}

/** Lays the keys, then the values, of a scope one after the other. False without room. */
export function joinScope(scope: Scope): bool {
  const isJoined = join(scope.attrs, scope.attrCount, scope.keyBytes, scope.valueBytes);
  scope.keys = <u32>joined;
  return isJoined;
}

/** Where `join` put the keys; the values follow them. */
let joined: usize = 0;

function join(attrs: usize, count: u32, keyBytes: u32, valueBytes: u32): bool {
  joined = allocate(<usize>keyBytes + valueBytes + slack);
  if (joined == 0) return fail(capacityFault, attrs) != 0;
  let key = joined;
  let value = joined + keyBytes;
  const end = attrs + <usize>count * attrBytes;
  for (let at = attrs; at < end; at += attrBytes) {
    const attr = changetype<Attr>(at);
    memory.copy(key, attr.key, attr.keyBytes);
    key += attr.keyBytes;
    value = put(value, attr.value, attr.valueBytes);
  }
  return true;
}
