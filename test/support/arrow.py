"""Reads Parquet files with Apache Arrow and writes a line of JSON for each: its rows, in order.

Values are in the normal form of archived.ts: ids and bytes as hex, 64-bit numbers, times and
doubles as text, attributes as pairs. Arguments: paths of files. Validates what it reads.
"""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def plain(array):
    """Python values of an array, with nulls as None."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_map(kind):
        pairs = [list(pair) for pair in zip(plain(array.keys), plain(array.items))]
        return slices(array, pairs)
    if pa.types.is_list(kind):
        return slices(array, plain(array.values))
    if pa.types.is_timestamp(kind):
        return texts(array.cast(pa.int64()))
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if value is None else value.hex() for value in array.to_pylist()]
    if kind in (pa.int64(), pa.uint64(), pa.float64()):
        return texts(array)
    return array.to_pylist()


def texts(array):
    return [None if value is None else str(value) for value in array.to_pylist()]


def slices(array, values):
    ends = array.offsets.to_pylist()
    return [values[ends[i] : ends[i + 1]] for i in range(len(array))]


def rows(path):
    table = pq.ParquetFile(path).read()
    table.validate(full=True)
    columns = {name: plain(table.column(name).combine_chunks()) for name in table.column_names}
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


for path in sys.argv[1:]:
    print(json.dumps(rows(path)))
