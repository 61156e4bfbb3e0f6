/** Signed sums of 128 bits: exact for any number of 64-bit ints, and rounded once, to the nearest double. */

/** Adds `value`, an i64, to the sum at `at`: low word, then high. */
export function addInt(at: usize, value: i64): void {
  addWide(at, <u64>value, <u64>(value >> 63));
}

/** Takes `value`, an i64, from the sum at `at`. */
export function subtractInt(at: usize, value: i64): void {
  // -x = ~x + 1, in 128 bits.
  const low = ~(<u64>value) + 1;
  addWide(at, low, ~(<u64>(value >> 63)) + <u64>(low == 0));
}

function addWide(at: usize, low: u64, high: u64): void {
  const sum = load<u64>(at) + low;
  store<u64>(at, sum);
  store<u64>(at, load<u64>(at, 8) + high + <u64>(sum < low), 8);
}

/** The double nearest to the sum at `at`; of two that are as near, the even one. */
export function toDouble(at: usize): f64 {
  let low = load<u64>(at);
  let high = load<u64>(at, 8);
  const isNegative = <i64>high < 0;
  if (isNegative) {
    low = ~low + 1;
    high = ~high + <u64>(low == 0);
  }
  const size = high == 0 ? <f64>low : large(high, low);
  return isNegative ? -size : size;
}

/** The 64 upper bits, the last of them set if any bit below them is: that is enough to round. */
function large(high: u64, low: u64): f64 {
  const zeros = clz<u64>(high);
  const lost = 64 - zeros;
  const top = zeros == 0 ? high : (high << zeros) | (low >> lost);
  const rest = zeros == 0 ? low : low << zeros;
  let size = <f64>(top | <u64>(rest != 0));
  for (let bits = lost; bits > 0; bits--) size *= 2;
  return size;
}
