/** Tests of the plan of one request's spans. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../../dev/traffic/random.ts';
import { journeys } from '../../../dev/traffic/shop.ts';
import type { Step } from '../../../dev/traffic/shop.ts';
import { planRequest } from '../../../dev/traffic/trace.ts';
import type { PlannedSpan } from '../../../dev/traffic/trace.ts';

function spansOf(planned: PlannedSpan): PlannedSpan[] {
  return [planned, ...planned.children.flatMap((child) => spansOf(child))];
}

const leaf: Step = {
  service: 'payment',
  name: 'POST acquirer',
  flavour: 'external',
  medianMs: 10,
  sigma: 0.4,
  errorRate: 1,
  tries: 3,
  chance: 1,
  parallel: false,
  optional: false,
  children: [],
  consumers: [],
};

describe('planRequest()', () => {
  it('keeps children inside their parents, and consumers after their producers', () => {
    const random = new Random(1);
    for (const { root } of journeys) {
      for (let turn = 0; turn < 50; turn += 1) {
        for (const span of spansOf(planRequest(root, random))) {
          expect(span.endNs).toBeGreaterThan(span.startNs);
          for (const child of span.children) {
            expect(child.startNs).toBeGreaterThanOrEqual(span.startNs);
            expect(child.endNs).toBeLessThanOrEqual(span.endNs);
          }
          for (const consumed of span.consumed) {
            expect(consumed.startNs).toBeGreaterThan(span.endNs);
          }
        }
      }
    }
  });

  it('tries a failing call as often as it may, one after the other, then fails its parent', () => {
    const parent: Step = { ...leaf, name: 'POST /pay', errorRate: 0, tries: 1, children: [leaf] };
    const planned = planRequest(parent, new Random(2));
    expect(planned.children).toHaveLength(3);
    const [first, second] = planned.children;
    expect(second?.startNs ?? 0).toBeGreaterThan(first?.endNs ?? 0);
    expect(planned.fault?.type).toBe('UpstreamError');
  });

  it('does not fail the parent of an optional step', () => {
    const optional = { ...leaf, optional: true };
    const parent: Step = { ...leaf, name: 'GET /', errorRate: 0, children: [optional] };
    expect(planRequest(parent, new Random(3)).fault).toBeUndefined();
  });

  it('has slow tails: the slowest of many requests is ten times the median', () => {
    const random = new Random(4);
    const calm: Step = { ...leaf, errorRate: 0 };
    const times = Array.from({ length: 3000 }, () => planRequest(calm, random).endNs).toSorted(
      (a, b) => a - b,
    );
    expect((times.at(-1) ?? 0) / (times[1500] ?? 1)).toBeGreaterThan(10);
  });
});
