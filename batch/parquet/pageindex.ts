/**
 * Reads what a Parquet file's page index says of the pages of one chunk of ids (parquet.thrift, ColumnIndex). It looks at
 * no page.
 */
import { ThriftReader } from './thrift.ts';

/** Least and greatest value of a page. */
export interface PageEnds {
  readonly least: bigint;
  readonly greatest: bigint;
}

/** parquet.thrift's BoundaryOrder. */
const ascending = 1;
const idBytes = 16;

/**
 * The ends of each page of ids of 16 bytes; `undefined` where they are stated otherwise, or not to ascend. Throws
 * `TidemarkError` CORRUPT_ARCHIVE.
 */
export function readPageEnds(bytes: Uint8Array): PageEnds[] | undefined {
  const reader = new ThriftReader(bytes);
  const [least, greatest]: [Uint8Array[], Uint8Array[]] = [[], []];
  let order = 0;
  reader.struct((id) => {
    if (id === 2) reader.list(() => least.push(reader.binary()));
    else if (id === 3) reader.list(() => greatest.push(reader.binary()));
    else if (id === 4) order = reader.int();
    else return false;
    return undefined;
  });
  const isWhole = [...least, ...greatest].every(({ length }) => length === idBytes);
  if (order !== ascending || !isWhole || least.length !== greatest.length) return undefined;
  return least.map((id, page) => ({ least: numberOf(id), greatest: numberOf(greatest[page]) }));
}

/** The number whose order is that of the bytes. */
export function numberOf(id: Uint8Array = new Uint8Array(idBytes)): bigint {
  const view = new DataView(id.buffer, id.byteOffset, idBytes);
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}
