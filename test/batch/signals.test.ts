import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { logProof } from '../../batch/logs/proof.ts';
import { startLogWork } from '../../batch/logs/work.ts';
import { histogramProof, pointProof, summaryProof } from '../../batch/metrics/proof.ts';
import { startPointWork } from '../../batch/metrics/work.ts';
import { signalBatches, signals } from '../../batch/signals.ts';
import { graphProof } from '../../batch/traces/graphproof.ts';
import { graphSlices } from '../../batch/traces/graphslices.ts';
import { dedupProof, spanProof } from '../../batch/traces/proof.ts';
import { startSpanWork } from '../../batch/traces/work.ts';
import { archiveColumns } from '../../schemas/archive.ts';
import { readMigrations } from '../../workers/clients/clickhouse/migrate.ts';

const kernelOf = (name: string) =>
  new URL(`../../aggregator-as/build/${name}.wasm`, import.meta.url);

describe('signalBatches', () => {
  it('knows every signal of the archive, by its own name', () => {
    expect(signals.toSorted()).toEqual(Object.keys(archiveColumns).toSorted());
    for (const signal of signals) expect(signalBatches[signal].signal).toBe(signal);
    const { traces, logs, metrics } = signalBatches;
    expect(traces).toMatchObject({
      startWork: startSpanWork,
      proofs: [spanProof, dedupProof, { ...graphProof, slices: graphSlices }],
    });
    expect(logs).toMatchObject({ startWork: startLogWork, proofs: [logProof] });
    expect(metrics).toMatchObject({
      startWork: startPointWork,
      proofs: [pointProof, histogramProof, summaryProof],
    });
  });

  it.each(signals)(
    'reads and publishes for %s what the archive and ClickHouse have',
    async (of) => {
      const batch = signalBatches[of];
      expect(existsSync(kernelOf(batch.kernel))).toBe(true);
      expect(batch.leadMs % 3_600_000).toBe(0);
      const columns = new Set(archiveColumns[of].map(({ name }) => name));
      const statements = (await readMigrations()).flatMap((migration) => migration.statements);
      for (const table of batch.tables) {
        const ddl =
          statements.find((text) => text.includes(`TABLE IF NOT EXISTS ${table}\n`)) ?? '';
        expect(ddl).toContain('PARTITION BY (date, run_id)');
      }
      for (const { table, keys, figures, structure } of batch.proofs) {
        expect(batch.tables).toContain(table);
        const ddl = statements
          .filter((text) => new RegExp(`TABLE (IF NOT EXISTS )?${table}\\n`).test(text))
          .join('\n');
        for (const name of [...keys, ...figures]) expect(ddl).toContain(`\`${name}\` `);
        for (const typed of structure) {
          expect(columns).toContain(typed.split(' ')[0]?.replaceAll('`', ''));
        }
      }
    },
  );

  it.each(signals)('gives for %s the same bytes for nothing, whatever the seed', async (of) => {
    const batch = signalBatches[of];
    const kernel = await WebAssembly.compile(await readFile(kernelOf(batch.kernel)));
    const memoryBytes = 8 * 1024 * 1024;
    const merge = { seriesMax: 1, edgesMax: 1, operationsMax: 1, kind: 'day' } as const;
    const [one, other] = [1n, 2n].map((hashSeed) => {
      const work = batch.startWork({ kernel, memoryBytes, hashSeed, periodMs: 0, ...merge });
      if ('reset' in work) work.reset();
      return work.finish();
    });
    expect(one).toEqual(other);
    const reader = {
      byteLength: one?.length ?? 0,
      read: async (start: number, end: number) => (one ?? new Uint8Array()).slice(start, end),
    };
    const results = await batch.merge([reader], merge);
    expect(results).toMatchObject({ items: 0, duplicates: 0, conflicts: 0, groups: 0 });
    expect(results.tables.map(({ name, rowCount }) => [name, rowCount])).toEqual(
      batch.tables.map((name) => [name, 0]),
    );
  });
});
