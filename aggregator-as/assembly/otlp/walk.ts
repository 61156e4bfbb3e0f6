/**
 * Walks an Export…ServiceRequest of the signal: each Resource… message, each Scope… message, each
 * item, handing what was read to the rows or to the columns. The three signals' envelopes are alike. Fields may come in any order, so each envelope is passed
 * over once for its resource or scope, and once for what belongs to it.
 */
import { findHead, head, headBytes, url, urlBytes } from './envelope';
import { hashSentResource, hashSentScope } from './content';
import { joinResource, joinScope } from '../columns/join';
import { takeLogRecord, takeLogRow } from './logtake';
import { enterResource, enterScope, startPlace, toRows } from './place';
import { Resource, Scope } from './record';
import { startRepeats } from './repeats';
import { badStrings, readResource, readScope } from './resource';
import { endScope, startResource, startScope } from '../rows/rows';
import { logsSignal, signal } from './signal';
import { takeSpanRecord, takeSpanRow } from './spantake';
import { countInvalid } from './verdict';
import {
  ended,
  logsRequestMessage,
  requestMessage,
  resourceLogsMessage,
  resourceSpansMessage,
  scopeLogsMessage,
  scopeSpansMessage,
  skipValue,
  slice,
  sliceBytes,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Reads the request from `p` to `end`. False after a fault. */
export function walkRequest(p: usize, end: usize, rows: bool): bool {
  startPlace(rows);
  if (signal == logsSignal) startRepeats(p, end);
  const message = messageOf(requestMessage, logsRequestMessage);
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
      p = tag >> 3 == 1 ? wrongType(p, message, tag) : skipValue(p, end, tag);
      if (p == 0) return false;
    }
  }
  return ended(p, end);
}

/** The number of an envelope's message. */
function messageOf(ofTraces: u32, ofLogs: u32): u32 {
  return signal == logsSignal ? ofLogs : ofTraces;
}

/** Makes the resource that was found last ready for the columns. */
function ownResource(resource: Resource): bool {
  if (signal == logsSignal) hashSentResource(resource, head, headBytes, url, urlBytes);
  return joinResource(resource);
}

/** Makes the scope that was found last ready for the columns. */
function ownScope(scope: Scope): bool {
  if (signal == logsSignal) hashSentScope(scope, head, headBytes, url, urlBytes);
  return joinScope(scope);
}

function walkResource(p: usize, end: usize): bool {
  if (!findHead(p, end, messageOf(resourceSpansMessage, resourceLogsMessage))) return false;
  if (toRows && !startResource()) return false;
  const resource = readResource(head, head + headBytes, url, urlBytes);
  if (resource == 0) return false;
  enterResource(resource);
  countInvalid(badStrings);
  if (!toRows && !ownResource(changetype<Resource>(resource))) return false;
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
  if (!findHead(p, end, messageOf(scopeSpansMessage, scopeLogsMessage))) return false;
  if (toRows && !startScope()) return false;
  const scope = readScope(head, head + headBytes, url, urlBytes);
  if (scope == 0) return false;
  enterScope(scope);
  countInvalid(badStrings);
  if (toRows) endScope();
  else if (!ownScope(changetype<Scope>(scope))) return false;
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
    if (!takeItem(p, next)) return false;
    p = next;
  }
  return true;
}

/** By signal: takes a message of field 2 of a Scope… message. False after a fault. */
// @ts-ignore: decorator
@inline
function takeItem(p: usize, end: usize): bool {
  if (signal == logsSignal) return toRows ? takeLogRow(p, end) : takeLogRecord(p, end);
  return toRows ? takeSpanRow(p, end) : takeSpanRecord(p, end);
}
