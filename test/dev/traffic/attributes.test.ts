/** Tests of the attributes of the generated resources and spans. */
import { describe, expect, it } from 'vitest';
import { attributesOf, resourceOf } from '../../../dev/traffic/attributes.ts';
import { Random } from '../../../dev/traffic/random.ts';
import { journeys, services } from '../../../dev/traffic/shop.ts';
import type { Step } from '../../../dev/traffic/shop.ts';

function stepsOf(step: Step): Step[] {
  return [step, ...[...step.children, ...step.consumers].flatMap((under) => stepsOf(under))];
}

describe('resourceOf()', () => {
  it('has at least 6 attributes and the name of the service', () => {
    const random = new Random(1);
    for (const service of services) {
      const resource = resourceOf(service, random);
      expect(Object.keys(resource).length).toBeGreaterThanOrEqual(6);
      expect(resource['service.name']).toBe(service.name);
    }
  });
});

describe('attributesOf()', () => {
  it('gives every step 6 to 10 attributes on its first attempt', () => {
    const random = new Random(2);
    for (const step of journeys.flatMap(({ root }) => stepsOf(root))) {
      const count = Object.keys(attributesOf(step, false, 1, random)).length;
      expect(count, step.name).toBeGreaterThanOrEqual(6);
      expect(count, step.name).toBeLessThanOrEqual(10);
    }
  });

  it('counts the resends of a retried call', () => {
    const step = journeys[0]?.root;
    if (!step) throw new Error('Bug: no journey');
    const attributes = attributesOf(step, false, 3, new Random(3));
    expect(attributes['http.request.resend_count']).toBe(2);
  });
});
