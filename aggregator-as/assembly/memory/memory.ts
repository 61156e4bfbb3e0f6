/**
 * One linear memory as a bump arena: `top` is its first free byte, and the memory grows up to a
 * bound. Nothing is freed but by setting `top` back. It never traps for want of memory: every
 * request for room says whether there is any.
 */

/** Bytes past `top`, and past any input, that may be read or overwritten by 16-byte accesses. */
export const slack: usize = 64;

const pageBytes: u64 = 65536;

/** First free byte. */
export let top: usize = 0;

/** `top` never passes this: the end of the memory less the slack. */
let limit: usize = 0;
let pagesMax: u64 = 1024;

/** Sets the bound on the memory's size, in pages of 64 KiB. */
export function bound(pages: u32): void {
  pagesMax = pages;
  limit = (<usize>memory.size() << 16) - slack;
}

/** Where the arena begins: past the module's own data. */
export function arenaBase(): usize {
  return align(__heap_base);
}

/** Moves `top`. False, and `top` stays, when the bound forbids it. */
// @ts-ignore: decorator
@inline
export function setTop(at: usize): bool {
  if (at > limit && !grow(<u64>at)) return false;
  top = at;
  return true;
}

// @ts-ignore: decorator
@inline
export function align(at: usize): usize {
  return (at + 7) & ~7;
}

/** Makes `bytes` from `top` usable, and the slack past them. False when the bound forbids it. */
// @ts-ignore: decorator
@inline
export function reserve(bytes: usize): bool {
  return bytes <= limit - top ? true : grow(<u64>top + <u64>bytes);
}

/** Takes `bytes`, aligned to 8 and not cleared, from the arena. 0 when there is no room. */
// @ts-ignore: decorator
@inline
export function allocate(bytes: usize): usize {
  if (!reserve(bytes + 8)) return 0;
  const at = align(top);
  top = at + bytes;
  return at;
}

/** Grows by a quarter at least, so that many small requests cost few growths. */
function grow(end: u64): bool {
  const pages = <u64>memory.size();
  const wanted = (end + slack + pageBytes - 1) / pageBytes;
  if (wanted > pagesMax) return false;
  const eager = min(pagesMax, max(wanted, pages + (pages >> 2)));
  if (memory.grow(<i32>(eager - pages)) < 0) {
    if (memory.grow(<i32>(wanted - pages)) < 0) return false;
  }
  limit = <usize>((<u64>memory.size() << 16) - slack);
  return true;
}
