/**
 * Asks ClickHouse (in-process) and DuckDB for the figures of groups of durations. The values go to
 * ClickHouse as RowBinary and from it to DuckDB as Parquet, by no code of ours but eight-byte words.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { query } from 'chdb';

export interface EngineGroup {
  readonly count: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly meanMs: number;
  readonly quantilesMs: number[];
}

/** Figures of each group, in order, as both engines give them. */
export async function askEngines(
  groups: readonly BigUint64Array[],
  quantiles: readonly number[],
): Promise<{ clickHouse: EngineGroup[]; duckDb: EngineGroup[] }> {
  const directory = mkdtempSync(path.join(tmpdir(), 'tidemark-engines-'));
  try {
    const binary = path.join(directory, 'values.bin');
    const parquet = path.join(directory, 'values.parquet');
    writeFileSync(binary, rowBinary(groups));
    const source = `file('${binary}', RowBinary, 'g UInt64, v UInt64')`;
    query(`INSERT INTO FUNCTION file('${parquet}', Parquet) SELECT * FROM ${source}`);
    const clickHouse = askClickHouse(source, quantiles);
    return { clickHouse, duckDb: await askDuckDb(parquet, quantiles) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function rowBinary(groups: readonly BigUint64Array[]): Uint8Array {
  const rows = groups.reduce((sum, values) => sum + values.length, 0);
  const words = new BigUint64Array(rows * 2);
  let at = 0;
  for (const [group, values] of groups.entries()) {
    for (const value of values) {
      words[at++] = BigInt(group);
      words[at++] = value;
    }
  }
  return new Uint8Array(words.buffer);
}

/** Columns are the bits of the doubles, so that no text stands between. */
function askClickHouse(source: string, quantiles: readonly number[]): EngineGroup[] {
  const exact = quantiles.map((quantile) => `quantileExactInclusive(${quantile})(v) / 1e6`);
  const columns = ['min(v) / 1e6', 'max(v) / 1e6', 'avg(v) / 1e6', ...exact];
  const bits = columns.map((column) => `reinterpretAsUInt64(${column})`).join(', ');
  const sql = `SELECT count(), ${bits} FROM ${source} GROUP BY g ORDER BY g`;
  const lines = query(sql, 'TabSeparated').trimEnd().split('\n');
  return lines.map((line) => {
    const [count = '', ...figures] = line.split('\t');
    return toGroup(Number(count), Float64Array.from(figures, fromBits));
  });
}

function fromBits(text: string): number {
  return new Float64Array(BigUint64Array.of(BigInt(text)).buffer)[0] ?? Number.NaN;
}

async function askDuckDb(parquet: string, quantiles: readonly number[]): Promise<EngineGroup[]> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const exact = quantiles.map((quantile) => `quantile_cont(v, ${quantile}::DOUBLE) / 1e6`);
  const columns = ['min(v) / 1e6::DOUBLE', 'max(v) / 1e6::DOUBLE', 'avg(v) / 1e6', ...exact];
  const reader = await connection.runAndReadAll(
    `SELECT count(*)::INTEGER, ${columns.join(', ')} FROM '${parquet}' GROUP BY g ORDER BY g`,
  );
  connection.closeSync();
  return reader.getRowsJS().map(([count, ...figures]) => {
    return toGroup(Number(count), Float64Array.from(figures, Number));
  });
}

function toGroup(count: number, figures: Float64Array): EngineGroup {
  const [minMs = 0, maxMs = 0, meanMs = 0, ...quantilesMs] = figures;
  return { count, minMs, maxMs, meanMs, quantilesMs };
}
