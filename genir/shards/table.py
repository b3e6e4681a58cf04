"""Rows <-> parquet with a schema fixed beforehand: an inferred one drops or mistypes columns of nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genir.records import Columns
    from genir.shards.files import Row


def encode(rows: Sequence[Row], columns: Columns) -> bytes:
    """A parquet file; a value missing in a row is a null of its column's type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def decode(data: bytes, columns: Sequence[str] | None = None) -> list[Row]:
    """The rows of a parquet file made by `encode`; of all columns, or of those named as far as it has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    known = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
    # arrow's threads would give the bytes back later, and end a process that is just leaving (exit code 134)
    return file.read(known, use_threads=False).to_pylist()
