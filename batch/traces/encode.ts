/** The groups that a kernel has merged, as a partial. Counts nothing itself. */
import type { SpanKernel } from '../../aggregator-as/spankernel.ts';
import { composePartial } from '../../schemas/partials/compose.ts';
import { compareKeys, publishedQuantiles } from '../../schemas/partials/spans.ts';
import type { Section } from '../../schemas/partials/section.ts';

/** The partial of all groups. Throws `TidemarkError` CAPACITY, CORRUPT_ARCHIVE. */
export function encodeGroups(
  kernel: SpanKernel,
  quantiles: readonly number[] = publishedQuantiles,
): Section {
  const groups = kernel.groups().toSorted(compareKeys);
  return composePartial(groups, (group) => kernel.encode(group, quantiles));
}
