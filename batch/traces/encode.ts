/** The groups that a kernel has merged, as a partial. Counts nothing itself. */
import type { SpanKernel } from '../../aggregator-as/spankernel.ts';
import { composePartial } from '../../schemas/compose.ts';
import { compareKeys, publishedQuantiles } from '../../schemas/partial.ts';
import type { Section } from '../../schemas/section.ts';

/** The partial of all groups. Throws `TidemarkError` CAPACITY, CORRUPT_ARCHIVE. */
export function encodeGroups(
  kernel: SpanKernel,
  quantiles: readonly number[] = publishedQuantiles,
): Section {
  const groups = kernel.groups().toSorted(compareKeys);
  return composePartial(groups, (group) => kernel.encode(group, quantiles));
}
