"""HDFS over WebHDFS: a Parquet file is put aside, renamed, and read by pyarrow and by DuckDB."""

import duckdb
import fsspec
import pyarrow
import pyarrow.parquet

from common import ROWS, run, same


def connect(address):
    host, port = address.removeprefix("http://").split(":")
    return fsspec.filesystem("webhdfs", host=host, port=int(port), user="tests")


def write(address, folder):
    server = connect(address)
    numbers, words = zip(*ROWS)
    server.mkdirs("/checked/_aside")
    with server.open("/checked/_aside/part.parquet", "wb") as file:
        pyarrow.parquet.write_table(pyarrow.table({"id": numbers, "word": words}), file)
    server.mv("/checked/_aside/part.parquet", "/checked/part.parquet")


def read(address, folder):
    with connect(address).open("/checked/part.parquet", "rb") as file:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(file.read()))
    same([tuple(row.values()) for row in table.to_pylist()])
    database = duckdb.connect()
    database.register("checked", table)
    same(database.sql("SELECT id, word FROM checked ORDER BY id").fetchall())


run(write, read)
