/**
 * The transcoder's entry: what the host calls. Numbers in, addresses and codes out; the host copies
 * the input to the address that it was given, and reads results from the memory.
 */
import { capacityFault, clearFault, fail, faultAt, faultCode, faultDetail, noFault } from './fault';
import { align, arenaBase, bound, setTop, slack, top } from './memory';
import { rowCount, rowsEnd, rowsStart, startRows } from './rows';
import { startVerdict, verdictSpace } from './verdict';
import { walkRequest } from './walk';
import { inputPadding } from './wire';
import { putVarint } from './bytes';

let input: usize = 0;
let inputBytes: usize = 0;
let tenant: usize = 0;
let tenantBytes: usize = 0;

/** Sets the bound on memory. To be called once, first. */
export function configure(pagesMax: u32): void {
  bound(pagesMax);
}

/** Address of the counts: words in the order of the class `Verdict`. */
export function verdictAt(): usize {
  return verdictSpace;
}

export function fault(): i32 {
  return faultCode;
}

/** Offset in the request of the fault. */
export function faultOffset(): u32 {
  return faultAt < input ? 0 : <u32>min(faultAt - input, inputBytes);
}

export function faultField(): u32 {
  return faultDetail;
}

/** Makes room for a request and a tenant's name. Returns the request's address, or 0. */
export function rowsInput(requestBytes: u32, nameBytes: u32): usize {
  clearFault();
  inputBytes = requestBytes;
  tenantBytes = nameBytes;
  input = arenaBase();
  if (<u64>requestBytes + nameBytes > 0x4000_0000) return fail(capacityFault, input);
  tenant = align(input + requestBytes + inputPadding);
  // The name itself, then the row's tail: length, name, time.
  if (!setTop(align(tenant + 2 * tenantBytes + 32 + slack))) return fail(capacityFault, input);
  memory.fill(input + requestBytes, 0, inputPadding);
  return input;
}

/** Where the tenant's name goes. */
export function tenantAt(): usize {
  return tenant;
}

/** Transcodes the input. Returns 0, or the fault's code. */
export function rowsRun(receivedMs: f64, pastMaxMs: f64, futureMaxMs: f64): i32 {
  const received = <i64>receivedMs;
  startVerdict(input, <i64>(receivedMs - pastMaxMs), <i64>(receivedMs + futureMaxMs));
  const tail = align(tenant + tenantBytes);
  const name = putVarint(tail, tenantBytes);
  memory.copy(name, tenant, tenantBytes);
  store<i64>(name + tenantBytes, received);
  startRows(tail, name + tenantBytes + 8 - tail);
  if (!walkRequest(input, input + inputBytes, true)) return faultCode;
  return noFault;
}

export function rowsAt(): usize {
  return rowsStart;
}

export function rowsBytes(): usize {
  return rowsEnd - rowsStart;
}

export function rowsCount(): u32 {
  return rowCount;
}
