"""PostgreSQL: a table by the plain user, read by the one that needs TLS and a password."""

from pathlib import Path

import psycopg

from common import ROWS, run, same, wrong


def connect(address, **options):
    host, port = address.split(":")
    return psycopg.connect(host=host, port=port, dbname="postgres", connect_timeout=2, **options)


def write(address, folder):
    with connect(address, user="postgres") as server:
        server.execute("CREATE TABLE checked (id bigint PRIMARY KEY, word text)")
        server.cursor().executemany("INSERT INTO checked VALUES (%s, %s)", ROWS)
        server.execute("GRANT ALL ON checked TO app")


def read(address, folder):
    secured = {"user": "app", "sslmode": "verify-full", "sslrootcert": str(Path(folder, "tls/ca.pem"))}
    with connect(address, password="secret", **secured) as server:
        same(server.execute("SELECT id, word FROM checked ORDER BY id").fetchall())
    for refused in [{"password": "other", **secured}, {"password": "secret", "user": "app", "sslmode": "disable"}]:
        try:
            connect(address, **refused)
        except psycopg.OperationalError:
            continue
        wrong(f"not refused: {refused}")


run(write, read)
