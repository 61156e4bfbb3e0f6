/** Least and greatest value of a column chunk, in Parquet's order of its type. */

/** Where they are; of texts without their length. */
export let leastAt: usize = 0;
export let leastBytes: u32 = 0;
export let greatestAt: usize = 0;
export let greatestBytes: u32 = 0;

/** Of texts in plain encoding, at least one: each after its length as 4 bytes. */
export function extremeTexts(at: usize, bytes: u32): void {
  const end = at + bytes;
  start(at + 4, load<u32>(at));
  for (at += 4 + <usize>leastBytes; at < end; at += 4 + <usize>load<u32>(at)) {
    const size = load<u32>(at);
    if (compare(at + 4, size, leastAt, leastBytes) < 0) {
      leastAt = at + 4;
      leastBytes = size;
    } else if (compare(at + 4, size, greatestAt, greatestBytes) > 0) {
      greatestAt = at + 4;
      greatestBytes = size;
    }
  }
}

function start(at: usize, bytes: u32): void {
  leastAt = at;
  greatestAt = at;
  leastBytes = bytes;
  greatestBytes = bytes;
}

function compare(a: usize, aBytes: u32, b: usize, bBytes: u32): i32 {
  const order = memory.compare(a, b, min(aBytes, bBytes));
  return order != 0 ? order : <i32>(aBytes > bBytes) - <i32>(aBytes < bBytes);
}

/** Of ids of 8 or 16 bytes, at least one, which compare as unsigned bytes. */
export function extremeIds(at: usize, count: u32, width: u32): void {
  const end = at + <usize>count * width;
  start(at, width);
  let least = bswap(load<u64>(at));
  let greatest = least;
  for (; at < end; at += width) {
    const head = bswap(load<u64>(at));
    if (head < least || (head == least && width == 16 && isLessTail(at, leastAt))) {
      leastAt = at;
      least = head;
    }
    if (head > greatest || (head == greatest && width == 16 && isLessTail(greatestAt, at))) {
      greatestAt = at;
      greatest = head;
    }
  }
}

function isLessTail(a: usize, b: usize): bool {
  return bswap(load<u64>(a, 8)) < bswap(load<u64>(b, 8));
}

/** Of signed or unsigned numbers of 4 or 8 bytes, at least one. */
export function extremeNumbers(at: usize, count: u32, width: u32, isSigned: bool): void {
  start(at, width);
  if (width == 8 && isSigned) find<i64>(at, count);
  else if (width == 8) find<u64>(at, count);
  else if (isSigned) find<i32>(at, count);
  else find<u32>(at, count);
}

function find<T>(at: usize, count: u32): void {
  let least = load<T>(at);
  let greatest = least;
  const end = at + <usize>count * sizeof<T>();
  for (; at < end; at += sizeof<T>()) {
    const value = load<T>(at);
    if (value < least) {
      least = value;
      leastAt = at;
    }
    if (value > greatest) {
      greatest = value;
      greatestAt = at;
    }
  }
}

const zeros = memory.data(16, 8);

/**
 * Of doubles, at least one. False when there is a NaN: then readers must go by nothing. Zeros are
 * stated as -0 and +0, as parquet.thrift wants it (Statistics, ColumnOrder).
 */
export function extremeDoubles(at: usize, count: u32): bool {
  const end = at + <usize>count * 8;
  for (let next = at; next < end; next += 8) {
    if (isNaN(load<f64>(next))) return false;
  }
  start(at, 8);
  find<f64>(at, count);
  if (load<f64>(leastAt) == 0) {
    store<f64>(zeros, -0.0);
    leastAt = zeros;
  }
  if (load<f64>(greatestAt) == 0) {
    store<f64>(zeros, 0.0, 8);
    greatestAt = zeros + 8;
  }
  return true;
}
