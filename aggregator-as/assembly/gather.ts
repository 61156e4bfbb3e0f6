/** Brings the durations of each group's kept rows together, and sorts them. */
import { countAt, durationsAt, fillAt, firstGroup, maxAt, minAt, nextAt } from './group';
import { droppedAt, durationAt, groupAt, rowAddress, rowCount } from './shard';
import { sortValues } from './sort';

/** Lays all durations at `at`, which has room for twice the `kept` rows' 8 bytes. */
export function gatherDurations(at: usize, kept: u32): void {
  const scratch = at + ((<usize>kept) << 3);
  let place = at;
  for (let group = firstGroup; group != 0; group = load<u32>(group, nextAt)) {
    store<u32>(group, <u32>place, durationsAt);
    store<u32>(group, <u32>place, fillAt);
    place += (<usize>load<u32>(group, countAt)) << 3;
  }
  for (let i: u32 = 0; i < rowCount; i++) {
    const row = rowAddress(i);
    if (load<u8>(row, droppedAt) != 0) continue;
    const group: usize = load<u32>(row, groupAt);
    const fill = load<u32>(group, fillAt);
    store<u64>(fill, load<u64>(row, durationAt));
    store<u32>(group, fill + 8, fillAt);
  }
  for (let group = firstGroup; group != 0; group = load<u32>(group, nextAt))
    sortGroup(group, scratch);
}

function sortGroup(group: usize, scratch: usize): void {
  const count = load<u32>(group, countAt);
  const least = load<u64>(group, minAt);
  sortValues(load<u32>(group, durationsAt), count, scratch, least, load<u64>(group, maxAt));
}
