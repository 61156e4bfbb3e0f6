/**
 * The envelopes of all signals alike: ResourceSpans and ScopeSpans, ResourceMetrics and
 * ScopeMetrics. Field 1 is their resource or scope, 2 are their items, 3 is the schema URL of both.
 */
import { ended, skipValue, slice, sliceBytes, wideTag, word, wrongType } from './wire';

/** The message of field 1 and the string of field 3 that `findHead` found. */
export let head: usize = 0;
export let headBytes: usize = 0;
export let url: usize = 0;
export let urlBytes: usize = 0;

/** Finds the last field 1 and field 3. False after a fault. */
export function findHead(p: usize, end: usize, message: u32): bool {
  head = 0;
  headBytes = 0;
  url = p;
  urlBytes = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x0a || tag == 0x12 || tag == 0x1a) {
      p = slice(p, end);
      if (p == 0) return false;
      if (tag == 0x0a) {
        head = p;
        headBytes = sliceBytes;
      } else if (tag == 0x1a) {
        url = p;
        urlBytes = sliceBytes;
      }
      p += sliceBytes;
    } else {
      const isKnown = tag >> 3 >= 1 && tag >> 3 <= 3;
      p = isKnown ? wrongType(p, message, tag) : skipValue(p, end, tag);
      if (p == 0) return false;
    }
  }
  return ended(p, end);
}
