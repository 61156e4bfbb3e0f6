/** Reads RowBinary rows of `otel_traces` through the in-process ClickHouse engine. */
import { query } from 'chdb';
import { speedTables } from '../../schemas/tables.ts';

const map = 'Map(LowCardinality(String), String)';
const low = 'LowCardinality(String)';

/** The types of the Collector's exporter, and of our two columns; String where none stands. */
const types: Partial<Record<string, string>> = {
  Timestamp: 'DateTime64(9)',
  SpanName: low,
  SpanKind: low,
  ServiceName: low,
  ResourceAttributes: map,
  SpanAttributes: map,
  Duration: 'UInt64',
  StatusCode: low,
  'Events.Timestamp': 'Array(DateTime64(9))',
  'Events.Name': `Array(${low})`,
  'Events.Attributes': `Array(${map})`,
  'Links.TraceId': 'Array(String)',
  'Links.SpanId': 'Array(String)',
  'Links.TraceState': 'Array(String)',
  'Links.Attributes': `Array(${map})`,
  IngestedAt: 'DateTime64(3)',
};

/** 64-bit values as their integers, maps as lists of pairs: nothing is lost in the text. */
function selected(name: string): string {
  if (name === 'Timestamp') return 'toString(toUnixTimestamp64Nano(Timestamp))';
  if (name === 'IngestedAt') return 'toString(toUnixTimestamp64Milli(IngestedAt))';
  if (name === 'Duration') return 'toString(Duration)';
  if (name === 'Events.Timestamp')
    return `arrayMap(t -> toString(toUnixTimestamp64Nano(t)), \`${name}\`)`;
  if (name.endsWith('.Attributes'))
    return `arrayMap(m -> arrayZip(mapKeys(m), mapValues(m)), \`${name}\`)`;
  if (name.endsWith('Attributes')) return `arrayZip(mapKeys(${name}), mapValues(${name}))`;
  return `\`${name}\``;
}

/**
 * Inserts the file's rows with `INSERT … FROM INFILE` into a table of the real types and returns
 * their cells, in the order of the columns, as `jsonRowOf` gives them.
 */
export function loadRows(file: string): unknown[][] {
  const columns = speedTables.otel_traces.map((name) => `\`${name}\` ${types[name] ?? 'String'}`);
  const text = query(
    `CREATE TABLE rows (${columns.join(', ')}) ENGINE = Memory;
    INSERT INTO rows FROM INFILE '${file}' FORMAT RowBinary;
    SELECT ${speedTables.otel_traces.map(selected).join(', ')} FROM rows`,
    'JSONCompactEachRow',
  );
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown[]);
}
