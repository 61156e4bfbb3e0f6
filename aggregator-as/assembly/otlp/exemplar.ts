/** Exemplars of data points (opentelemetry/proto/metrics/v1/metrics.proto) as records. */
import { keyBytes, readAttributes, valueBytes } from './attribute';
import { doubleNumber, Exemplar, intNumber, Point } from './measure';
import { sizeOf } from './record';
import { markInexact } from '../memory/text';
import {
  ended,
  exemplarMessage,
  skipValue,
  slice,
  sliceBytes,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Ids as they came: judged when the whole exemplar was read. */
let traceIdBytes: usize = 0;
let spanIdBytes: usize = 0;

/** Reads an exemplar, and adds its sizes to the point's. False after a fault. */
export function readExemplar(p: usize, end: usize, exemplar: Exemplar, point: Point): bool {
  const start = p;
  let count: u32 = 0;
  traceIdBytes = 0;
  spanIdBytes = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    switch (tag) {
      case 0x11:
        exemplar.timeNs = load<u64>(p);
        p += 8;
        break;
      case 0x19:
      case 0x31:
        exemplar.value = load<u64>(p);
        exemplar.number = tag == 0x19 ? doubleNumber : intNumber;
        p += 8;
        break;
      case 0x22:
      case 0x2a:
        p = readId(p, end, tag, exemplar);
        if (p == 0) return false;
        break;
      default:
        if (tag == 0x3a) count++;
        else if (tag >> 3 >= 2 && tag >> 3 <= 7) return wrongType(p, exemplarMessage, tag) != 0;
        else markInexact();
        p = skipValue(p, end, tag);
        if (p == 0) return false;
    }
  }
  if (!ended(p, end)) return false;
  judgeIds(exemplar, point);
  const keys = keyBytes;
  const values = valueBytes;
  exemplar.attrCount = count;
  exemplar.attrs = readAttributes(start, end, 0x3a, count);
  if (exemplar.attrs == 0) return false;
  point.exemplarAttrCount += count;
  point.exemplarKeyBytes += keyBytes - keys;
  point.exemplarValueBytes += valueBytes - values;
  return true;
}

function readId(p: usize, end: usize, tag: u32, exemplar: Exemplar): usize {
  p = slice(p, end);
  if (p == 0) return 0;
  if (tag == 0x22) {
    exemplar.spanId = p;
    spanIdBytes = sliceBytes;
  } else {
    exemplar.traceId = p;
    traceIdBytes = sliceBytes;
  }
  return p + sliceBytes;
}

/** An id may be absent; one of zeros counts as absent. Notes the point's first of another length. */
function judgeIds(exemplar: Exemplar, point: Point): void {
  const isTrace = traceIdBytes != 16 && traceIdBytes != 0;
  if (isTrace || (spanIdBytes != 8 && spanIdBytes != 0)) {
    if (point.badExemplar != 0) return;
    point.badExemplar =
      1 + <u32>((changetype<usize>(exemplar) - point.exemplars) / sizeOf<Exemplar>());
    point.badField = isTrace ? 1 : 2;
    point.badAt = isTrace ? exemplar.traceId : exemplar.spanId;
    point.badBytes = <u32>(isTrace ? traceIdBytes : spanIdBytes);
    return;
  }
  if (traceIdBytes == 0) exemplar.traceId = 0;
  else if ((load<u64>(exemplar.traceId) | load<u64>(exemplar.traceId, 8)) == 0) {
    exemplar.traceId = 0;
    markInexact();
  }
  if (spanIdBytes == 0) exemplar.spanId = 0;
  else if (load<u64>(exemplar.spanId) == 0) {
    exemplar.spanId = 0;
    markInexact();
  }
}
