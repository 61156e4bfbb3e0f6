import { expect, it } from 'vitest';
import { kafkaSilentMsMax } from '../../../../schemas/limits/kafka.ts';
import { Silence } from '../../../../workers/clients/kafka/silence.ts';

it('complaint() is of fetches that are wanted and not answered for too long', () => {
  let now = 1_000_000;
  const silence = new Silence(() => now);
  now += 2 * kafkaSilentMsMax;
  // Nothing was ever wanted.
  expect(silence.complaint()).toBeUndefined();
  silence.hear('begins');
  now += kafkaSilentMsMax;
  expect(silence.complaint()).toBeUndefined();
  now += 1;
  expect(silence.complaint()).toMatch(/^no fetch was answered for \d+ s, although/);
  silence.hear('goes on');
  expect(silence.complaint()).toBeUndefined();
  silence.hear('rests');
  now += 2 * kafkaSilentMsMax;
  expect(silence.complaint()).toBeUndefined();
});
