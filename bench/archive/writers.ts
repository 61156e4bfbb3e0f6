/**
 * Times well-known writers making the same Parquet file from rows that they hold decoded in their own
 * form already, on one core: CPU seconds, the best of several runs. The file is one of the archive.
 */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { Session } from 'chdb';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import type { DecodedArray } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { Table, readParquet, writeParquet } from 'parquet-wasm/node';
import type { Signal } from '../../schemas/archive.ts';
import { archiveZstdLevel, rowGroupRows } from '../../schemas/limits/archive.ts';
import { pyarrow } from '../../test/support/peers.ts';
import { writerProperties } from '../../workers/compact/layout.ts';

export interface Written {
  readonly name: string;
  /** CPU seconds. */
  readonly seconds: number;
  readonly bytes: number;
}

const runs = 5;

/** Every writer's time for the rows of `file`; `directory` is for what they write. */
export async function timeWriters(
  file: string,
  signal: Signal,
  directory: string,
): Promise<Written[]> {
  const out = path.join(directory, 'written.parquet');
  return [
    ...(await arrow(file)),
    clickhouse(file, out),
    await duckdb(file, out),
    await library(file, signal),
    await hyparquet(file),
  ];
}

async function best(write: () => Promise<unknown>, times = runs): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < times; run += 1) {
    const before = process.cpuUsage();
    await write();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1e6);
  }
  return least;
}

async function arrow(file: string): Promise<Written[]> {
  const python = await pyarrow();
  if ('missing' in python) return [];
  const script = path.join(import.meta.dirname, 'arrow.py');
  const args = [script, file, String(rowGroupRows), String(archiveZstdLevel)];
  const { stdout } = await promisify(execFile)(python.path, args);
  return [{ name: 'PyArrow', ...(JSON.parse(stdout) as { seconds: number; bytes: number }) }];
}

function clickhouse(file: string, out: string): Written {
  const session = new Session();
  session.query('CREATE DATABASE bench');
  const source = `file('${file}', Parquet)`;
  session.query(`CREATE TABLE bench.rows ENGINE = Memory AS SELECT * FROM ${source}`);
  const settings = [
    'max_threads = 1',
    'output_format_parquet_parallel_encoding = 0',
    `output_format_parquet_row_group_size = ${rowGroupRows}`,
    "output_format_parquet_compression_method = 'zstd'",
    `output_format_compression_level = ${archiveZstdLevel}`,
  ].join(', ');
  const sql = `SELECT * FROM bench.rows INTO OUTFILE '${out}' TRUNCATE FORMAT Parquet SETTINGS ${settings}`;
  let seconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run += 1) {
    const before = process.cpuUsage();
    session.query(sql);
    const { user, system } = process.cpuUsage(before);
    seconds = Math.min(seconds, (user + system) / 1e6);
  }
  session.cleanup();
  return { name: 'ClickHouse', seconds, bytes: statSync(out).size };
}

async function duckdb(file: string, out: string): Promise<Written> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE t AS SELECT * FROM read_parquet('${file}')`);
  const how = `FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL ${archiveZstdLevel}, ROW_GROUP_SIZE ${rowGroupRows}`;
  const seconds = await best(() => connection.run(`COPY t TO '${out}' (${how})`));
  connection.closeSync();
  instance.closeSync();
  return { name: 'DuckDB', seconds, bytes: statSync(out).size };
}

/** parquet-wasm, whose table a write consumes. */
async function library(file: string, signal: Signal): Promise<Written> {
  const ipc = readParquet(await readFile(file)).intoIPCStream();
  let bytes = 0;
  let seconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run += 1) {
    const table = Table.fromIPCStream(ipc);
    const before = process.cpuUsage();
    bytes = writeParquet(table, writerProperties(signal)).length;
    const { user, system } = process.cpuUsage(before);
    seconds = Math.min(seconds, (user + system) / 1e6);
  }
  return { name: 'parquet-wasm', seconds, bytes };
}

async function hyparquet(file: string): Promise<Written> {
  const bytes = await readFile(file);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const { schema } = parquetMetadata(buffer);
  const rows = await parquetReadObjects({
    file: buffer,
    compressors: { ZSTD: (input) => zstdDecompressSync(input) },
    utf8: false,
  });
  const names = Object.keys(rows[0] ?? {});
  const columnData = names.map((name) => ({
    name,
    data: rows.map((row) => row[name] as unknown) as DecodedArray,
  }));
  const zstd = { params: { [constants.ZSTD_c_compressionLevel]: archiveZstdLevel } };
  let size = 0;
  const seconds = await best(() => {
    size = parquetWriteBuffer({
      columnData,
      schema,
      codec: 'ZSTD',
      compressors: { ZSTD: (input) => zstdCompressSync(input, zstd) },
      rowGroupSize: rowGroupRows,
    }).byteLength;
    return Promise.resolve();
  }, 2);
  return { name: 'hyparquet-writer', seconds, bytes: size };
}
