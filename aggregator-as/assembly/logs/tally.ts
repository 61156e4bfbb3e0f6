/** Adds the rows up in their groups: counts, errors, conflicts, least, greatest, 128-bit sum. */
import { countConflict } from './dedup';
import { countAt, errorCountAt, maxAt, minAt, sumHighAt, sumLowAt } from './group';
import { droppedAt, durationAt, errorAt, groupAt, rowAddress, rowCount } from '../memory/shard';

/** Tallies all rows. The slots are still those of `dropDuplicates`. Returns how many are kept. */
export function tallyRows(): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < rowCount; i++) {
    const row = rowAddress(i);
    if (load<u8>(row, droppedAt) != 0) {
      countConflict(row);
    } else {
      tallyRow(row);
      kept++;
    }
  }
  return kept;
}

function tallyRow(row: usize): void {
  const group: usize = load<u32>(row, groupAt);
  const duration = load<u64>(row, durationAt);
  const count = load<u32>(group, countAt);
  store<u32>(group, count + 1, countAt);
  store<u32>(group, load<u32>(group, errorCountAt) + load<u8>(row, errorAt), errorCountAt);
  if (count == 0 || duration < load<u64>(group, minAt)) store<u64>(group, duration, minAt);
  if (duration > load<u64>(group, maxAt)) store<u64>(group, duration, maxAt);
  const sum = load<u64>(group, sumLowAt) + duration;
  store<u64>(group, sum, sumLowAt);
  if (sum < duration) store<u64>(group, load<u64>(group, sumHighAt) + 1, sumHighAt);
}
