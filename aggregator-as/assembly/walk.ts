/**
 * Walks an ExportTraceServiceRequest: each ResourceSpans, each ScopeSpans, each span, handing what
 * was read to the rows or to the columns. Fields may come in any order, so each envelope is passed
 * over once for its resource or scope, and once for what belongs to it.
 */
import { joinResource, joinScope, keepSpan } from './columns';
import { findHead, head, headBytes, url, urlBytes } from './envelope';
import { setTop, top } from './memory';
import { Resource, Scope, Span } from './record';
import { badStrings, readResource, readScope } from './resource';
import { endScope, startResource, startScope, startSpan, writeSpan } from './rows';
import { readSpan } from './span';
import { acceptSpan, countInvalid } from './verdict';
import {
  ended,
  requestMessage,
  resourceSpansMessage,
  scopeSpansMessage,
  skipValue,
  slice,
  sliceBytes,
  wideTag,
  word,
  wrongType,
} from './wire';

let toRows = false;
let itemIndex: u32 = 0;
let resource: usize = 0;
let scope: usize = 0;

/** Reads the request from `p` to `end`. False after a fault. */
export function walkRequest(p: usize, end: usize, rows: bool): bool {
  toRows = rows;
  itemIndex = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x0a) {
      p = slice(p, end);
      if (p == 0) return false;
      const next = p + sliceBytes;
      if (!walkResource(p, next)) return false;
      p = next;
    } else {
      p = tag >> 3 == 1 ? wrongType(p, requestMessage, tag) : skipValue(p, end, tag);
      if (p == 0) return false;
    }
  }
  return ended(p, end);
}

function walkResource(p: usize, end: usize): bool {
  if (!findHead(p, end, resourceSpansMessage)) return false;
  if (toRows && !startResource()) return false;
  resource = readResource(head, head + headBytes, url, urlBytes);
  if (resource == 0) return false;
  countInvalid(badStrings);
  if (!toRows && !joinResource(changetype<Resource>(resource))) return false;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != 0x12) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    if (!walkScope(p, next)) return false;
    p = next;
  }
  return true;
}

function walkScope(p: usize, end: usize): bool {
  if (!findHead(p, end, scopeSpansMessage)) return false;
  if (toRows && !startScope()) return false;
  scope = readScope(head, head + headBytes, url, urlBytes);
  if (scope == 0) return false;
  countInvalid(badStrings);
  if (toRows) endScope();
  else if (!joinScope(changetype<Scope>(scope))) return false;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != 0x12) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    if (!(toRows ? takeRow(p, next) : takeRecord(p, next))) return false;
    p = next;
  }
  return true;
}

function takeRow(p: usize, end: usize): bool {
  if (!startSpan(end - p)) return false;
  const records = top;
  const at = readSpan(p, end);
  if (at == 0) return false;
  const span = changetype<Span>(at);
  span.itemIndex = itemIndex++;
  if (!acceptSpan(span) || span.quarantined) return true;
  return writeSpan(span, changetype<Resource>(resource), changetype<Scope>(scope), records);
}

function takeRecord(p: usize, end: usize): bool {
  const records = top;
  const at = readSpan(p, end);
  if (at == 0) return false;
  const span = changetype<Span>(at);
  span.itemIndex = itemIndex++;
  if (!acceptSpan(span)) return setTop(records);
  span.resource = resource;
  span.scope = scope;
  return keepSpan(span);
}
