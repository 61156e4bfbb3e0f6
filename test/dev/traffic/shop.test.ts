/** Tests of the shop's data: that it is as large and as varied as the demo says. */
import { describe, expect, it } from 'vitest';
import { journeys, services } from '../../../dev/traffic/shop.ts';
import type { Step } from '../../../dev/traffic/shop.ts';

function stepsOf(step: Step): Step[] {
  return [step, ...[...step.children, ...step.consumers].flatMap((under) => stepsOf(under))];
}

const steps = journeys.flatMap(({ root }) => stepsOf(root));

describe('journeys', () => {
  it('touch at least 8 services and 40 operations, all of them declared', () => {
    const touched = new Set(steps.map(({ service }) => service));
    expect([...touched].toSorted()).toEqual(services.map(({ name }) => name).toSorted());
    expect(touched.size).toBeGreaterThanOrEqual(8);
    const operations = new Set(steps.map(({ service, name }) => `${service} ${name}`));
    expect(operations.size).toBeGreaterThanOrEqual(40);
  });

  it('have every flavour of step, retries, and consumers of messages', () => {
    expect(new Set(steps.map(({ flavour }) => flavour)).size).toBe(8);
    expect(steps.some(({ tries }) => tries > 1)).toBe(true);
    expect(steps.some(({ consumers }) => consumers.length > 0)).toBe(true);
  });

  it('are sent by one service as JSON and by others as protobuf, with and without gzip', () => {
    const encodings = services.map(({ encoding }) => encoding);
    expect(encodings.filter((encoding) => encoding === 'json')).toHaveLength(1);
    expect(new Set(encodings).size).toBe(3);
  });
});
