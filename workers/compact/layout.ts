/**
 * How merged files are laid out, for the library that writes them: as the archiver's own files, which
 * `../parquet.ts` makes. Writes nothing.
 */
import { Compression, EnabledStatistics, WriterPropertiesBuilder } from 'parquet-wasm/node';
import type { WriterProperties } from 'parquet-wasm/node';
import { archiveColumns, schemaVersions } from '../../schemas/archive.ts';
import type { ArchiveColumn, ArchiveType, Signal } from '../../schemas/archive.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';

/** Random or nearly unique values: a dictionary of them would only be a detour. */
const plainTypes: ReadonlySet<ArchiveType> = new Set(['id16', 'id8', 'timestampNs', 'binary']);

/** How all files of a signal are laid out. `version` is that of their columns. */
export function writerProperties(
  signal: Signal,
  version = String(schemaVersions[signal]),
): WriterProperties {
  const columns = archiveColumns[signal];
  const metadata = new Map([['tidemark.schema', version]]);
  const builder = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setMaxRowGroupSize(rowGroupRows)
    .setStatisticsEnabled(EnabledStatistics.Chunk)
    .setColumnStatisticsEnabled(columns[0]?.name ?? '', EnabledStatistics.Page)
    .setKeyValueMetadata(metadata);
  return columns.reduce(plain, builder).build();
}

function plain(builder: WriterPropertiesBuilder, column: ArchiveColumn): WriterPropertiesBuilder {
  if (!plainTypes.has(column.type)) return builder;
  return builder.setColumnDictionaryEnabled(column.name, false);
}
