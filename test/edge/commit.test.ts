/** Checks which way a batch takes, and the way through a real Durable Object in workerd. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { commit } from '../../edge/commit.ts';
import type { GroupAnswer, GroupNamespace } from '../../edge/commit.ts';
import type { Batch, FreshBatch } from '../../edge/fanout.ts';
import { Meter } from '../../edge/meter.ts';
import { readSettings } from '../../schemas/settings.ts';
import { clear, keys, nowMs, requestBytes, span, stored } from './stack.ts';

const otlp = requestBytes([span(0)]);
const batch: Batch = {
  signal: 'traces',
  parts: [
    { parts: { receivedMs: nowMs, requestId: 'one', tenantId: 'acme' }, otlp, digest: 'one' },
  ],
  tables: [{ table: 'otel_traces', rows: Uint8Array.of(1, 2), rowCount: 1 }],
};
const settings = readSettings({ TIDEMARK_GROUP_MS: '100', TIDEMARK_GROUP_BYTES_MAX: '10000' });

beforeEach(clear);

/** A namespace that notes what it was asked, and what went direct. */
function ways(answer: () => Promise<GroupAnswer>) {
  const meter = new Meter();
  const [named, direct]: [string[], FreshBatch[]] = [[], []];
  const groups: GroupNamespace = {
    getByName: (name) => {
      named.push(name);
      return { add: answer };
    },
  };
  const tools = {
    meter,
    groups,
    direct: (whole: FreshBatch) => {
      direct.push(whole);
      return Promise.resolve({ token: 'one', isDoubtful: false });
    },
  };
  return { tools, meter, named, direct };
}

const committed = { token: 'group', isDoubtful: false, recordedMs: 7, isCopy: false };
const done = () =>
  Promise.resolve({ ...committed, requests: 2, reading: [['sink_total', 'x="y"', 3]] as const });

const notThisWay = () => Promise.reject(new Error('not this way'));

describe('commit()', () => {
  it('commit() asks the group of the signal and place, and counts what it tells', async () => {
    const { tools, meter, named, direct } = ways(done);
    expect(await commit(batch, () => 'FRA', settings, tools)).toEqual(committed);
    expect(named).toEqual(['traces:FRA']);
    expect(direct).toEqual([]);
    expect(meter.text()).toContain('tidemark_edge_grouped_requests_total{signal="traces"} 2\n');
    expect(meter.text()).toContain('tidemark_edge_groups_total{signal="traces"} 1\n');
    expect(meter.text()).toContain('tidemark_edge_sink_total{x="y"} 3\n');
  });

  it('commit() goes direct when grouping is off, not bound, or the batch is half a group', async () => {
    const { tools, named, direct } = ways(done);
    const off = readSettings({ TIDEMARK_GROUP_MS: '0' });
    const own = { token: 'one', isDoubtful: false, recordedMs: nowMs, isCopy: false };
    expect(await commit(batch, () => 'FRA', off, tools)).toEqual(own);
    await commit(batch, () => 'FRA', settings, { ...tools, groups: undefined });
    const small = { ...settings, TIDEMARK_GROUP_BYTES_MAX: otlp.length * 2 - 1 };
    await commit(batch, () => 'FRA', small, tools);
    expect(named).toEqual([]);
    expect(direct).toEqual([batch, batch, batch]);
  });

  it('commit() throws the fault of its group, and a retryable one when the object is gone', async () => {
    const fault = { code: 'OVERLOADED', message: 'too much' };
    const refusing = ways(() => Promise.resolve({ fault }));
    await expect(commit(batch, () => 'FRA', settings, refusing.tools)).rejects.toMatchObject({
      ...fault,
      retryable: true,
    });
    const gone = ways(() => Promise.reject(new Error('Durable Object reset')));
    await expect(commit(batch, () => 'FRA', settings, gone.tools)).rejects.toMatchObject({
      code: 'SINK_FAILED',
      retryable: true,
    });
  });

  it('commit() has many batches in one archive object, through the real Durable Object', async () => {
    const { GROUPS: groups } = env as unknown as { GROUPS: GroupNamespace };
    const meter = new Meter();
    const sent = Array.from({ length: 20 }, (_, index) => {
      const [part] = batch.parts;
      if (part === undefined) throw new Error('there is a part');
      const parts = { ...part.parts, requestId: `request-${index}` };
      return {
        ...batch,
        parts: [{ parts, otlp: requestBytes([span(index)]), digest: `${index}` }],
      };
    });
    await Promise.all(
      sent.map((each) =>
        commit(each, () => 'TST', settings, { groups, meter, direct: notThisWay }),
      ),
    );
    const archived = (await keys()).filter((key) => key.startsWith('spool/archive/'));
    // The first goes alone; the nineteen that came meanwhile share one or two groups.
    expect(archived.length).toBeGreaterThan(1);
    expect(archived.length).toBeLessThan(5);
    const bytes = await Promise.all(archived.map(stored));
    const total = bytes.reduce((sum, { length }) => sum + length, 0);
    expect(total).toBe(sent.reduce((sum, { parts: [part] }) => sum + (part?.otlp.length ?? 0), 0));
    expect(meter.text()).toContain('tidemark_edge_grouped_requests_total{signal="traces"} 20\n');
  });
});
