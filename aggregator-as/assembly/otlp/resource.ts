/** Resource and InstrumentationScope messages, with the schema URLs of their envelopes. */
import { clearSums, keyBytes, readAttributes, valueBytes } from './attribute';
import { capacityFault, fail } from './fault';
import { allocate } from '../memory/memory';
import { attrBytes, Attr, clear, Resource, Scope, sizeOf } from './record';
import { checkText, clearMarks, inexact, invalidUtf8, markInexact, text, textBytes } from '../memory/text';
import {
  ended,
  resourceMessage,
  scopeMessage,
  skipValue,
  slice,
  sliceBytes,
  varint,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Strings of the message read last that were not UTF-8. */
export let badStrings: u32 = 0;

/** Reads a Resource; `p` is 0 when there is none. The URL is its envelope's. 0 after a fault. */
export function readResource(p: usize, end: usize, url: usize, urlBytes: usize): usize {
  const at = allocate(sizeOf<Resource>());
  if (at == 0) return fail(capacityFault, p);
  clear(at, sizeOf<Resource>());
  const resource = changetype<Resource>(at);
  clearMarks();
  if (!readResourceFields(p, end, resource)) return 0;
  if (inexact) {
    resource.raw = p;
    resource.rawBytes = end - p;
  }
  if (!checkText(url, urlBytes)) return 0;
  resource.schemaUrl = text;
  resource.schemaUrlBytes = textBytes;
  badStrings = invalidUtf8;
  findService(resource);
  return at;
}

function readResourceFields(p: usize, end: usize, resource: Resource): bool {
  const start = p;
  let count: u32 = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x10) {
      p = varint(p);
      resource.dropped = <u32>word;
    } else {
      if (tag == 0x0a) count++;
      else if (tag >> 3 == 1 || tag >> 3 == 2) return wrongType(p, resourceMessage, tag) != 0;
      else markInexact();
      p = skipValue(p, end, tag);
    }
    if (p == 0) return false;
  }
  if (!ended(p, end)) return false;
  clearSums();
  resource.attrCount = count;
  resource.attrs = readAttributes(start, end, 0x0a, count);
  resource.keyBytes = keyBytes;
  resource.valueBytes = valueBytes;
  return resource.attrs != 0;
}

/** The first `service.name`, as the Collector's lookup and ClickHouse's `map[key]` find it. */
function findService(resource: Resource): void {
  let at = <usize>resource.attrs;
  for (let i: u32 = 0; i < resource.attrCount; i++, at += attrBytes) {
    const attr = changetype<Attr>(at);
    if (attr.keyBytes != 12) continue;
    // 'service.' and 'name' as little-endian words.
    if (load<u64>(attr.key) != 0x2e65_6369_7672_6573 || load<u32>(attr.key, 8) != 0x656d_616e) {
      continue;
    }
    resource.service = attr.value;
    resource.serviceBytes = attr.valueBytes;
    return;
  }
}

/** Reads an InstrumentationScope; `p` is 0 when there is none. 0 after a fault. */
export function readScope(p: usize, end: usize, url: usize, urlBytes: usize): usize {
  const at = allocate(sizeOf<Scope>());
  if (at == 0) return fail(capacityFault, p);
  clear(at, sizeOf<Scope>());
  const scope = changetype<Scope>(at);
  clearMarks();
  const count = readScopeFields(p, end, scope);
  if (count < 0 || !checkTexts(scope)) return 0;
  clearSums();
  scope.attrCount = count;
  scope.attrs = readAttributes(p, end, 0x1a, count);
  if (scope.attrs == 0) return 0;
  scope.keyBytes = keyBytes;
  scope.valueBytes = valueBytes;
  if (inexact) {
    scope.raw = p;
    scope.rawBytes = end - p;
  }
  if (!checkText(url, urlBytes)) return 0;
  scope.schemaUrl = text;
  scope.schemaUrlBytes = textBytes;
  badStrings = invalidUtf8;
  return at;
}

/** Number of attributes, or -1 after a fault. */
function readScopeFields(p: usize, end: usize, scope: Scope): i32 {
  let count = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return -1;
      tag = <u32>word;
    }
    if (tag == 0x0a || tag == 0x12) {
      p = slice(p, end);
      if (p == 0) return -1;
      if (tag == 0x0a) {
        scope.name = p;
        scope.nameBytes = sliceBytes;
      } else {
        scope.version = p;
        scope.versionBytes = sliceBytes;
      }
      p += sliceBytes;
    } else if (tag == 0x20) {
      p = varint(p);
      scope.dropped = <u32>word;
    } else {
      if (tag == 0x1a) count++;
      else if (tag >> 3 >= 1 && tag >> 3 <= 4) p = wrongType(p, scopeMessage, tag);
      else markInexact();
      if (p != 0) p = skipValue(p, end, tag);
    }
    if (p == 0) return -1;
  }
  return ended(p, end) ? count : -1;
}

/** The strings that stand after the last field of their kind. */
function checkTexts(scope: Scope): bool {
  if (!checkText(scope.name, scope.nameBytes)) return false;
  scope.name = text;
  scope.nameBytes = textBytes;
  if (!checkText(scope.version, scope.versionBytes)) return false;
  scope.version = text;
  scope.versionBytes = textBytes;
  return true;
}
