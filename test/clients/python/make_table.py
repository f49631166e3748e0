"""Writes a Parquet file with several row groups to stdout."""
import sys

import pyarrow
import pyarrow.parquet

ROWS = 200_000
table = pyarrow.table({"group": [row % 7 for row in range(ROWS)], "value": list(range(ROWS))})
sink = pyarrow.BufferOutputStream()
pyarrow.parquet.write_table(table, sink, row_group_size=20_000)
sys.stdout.buffer.write(sink.getvalue().to_pybytes())
