/** The first fault of a call: what, where, and the field that it is about. The host words it. */

export const noFault: i32 = 0;
/** A varint of more than 10 bytes. */
export const varintFault: i32 = 1;
/** A message ends inside a field. */
export const truncatedFault: i32 = 2;
/** A length passes the end of the message that it is in. */
export const lengthFault: i32 = 3;
/** A known field has another wire type than its own. */
export const wireTypeFault: i32 = 4;
/** A field number is 0 or above 2^29 - 1, or a wire type is 6 or 7. */
export const tagFault: i32 = 5;
/** A group ends that has not begun, or does not end. */
export const groupFault: i32 = 6;
/** Values or groups are nested too deep. */
export const depthFault: i32 = 7;
/** The memory's bound is reached. */
export const capacityFault: i32 = 8;

export let faultCode: i32 = noFault;
export let faultAt: usize = 0;
/** `message << 8 | field << 3 | wire type` of a `wireTypeFault`, else 0. */
export let faultDetail: u32 = 0;

export function clearFault(): void {
  faultCode = noFault;
  faultAt = 0;
  faultDetail = 0;
}

/** Records the fault unless an earlier one stands. Returns 0, the null of this code. */
export function fail(code: i32, at: usize, detail: u32 = 0): usize {
  if (faultCode == noFault) {
    faultCode = code;
    faultAt = at;
    faultDetail = detail;
  }
  return 0;
}
