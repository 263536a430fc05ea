"""MariaDB: a table by root, read by the user that needs TLS and a password."""

from pathlib import Path

import pymysql

from common import ROWS, run, same, wrong


def connect(address, **options):
    host, port = address.split(":")
    return pymysql.connect(
        host=host, port=int(port), database="tests", connect_timeout=2, read_timeout=20, autocommit=True, **options
    )


def write(address, folder):
    with connect(address, user="root").cursor() as server:
        server.execute("CREATE TABLE checked (id bigint PRIMARY KEY, word longtext) CHARACTER SET utf8mb4")
        server.executemany("INSERT INTO checked VALUES (%s, %s)", ROWS)


def read(address, folder):
    secured = {"user": "app", "ssl": {"ca": str(Path(folder, "tls/ca.pem"))}}
    with connect(address, password="secret", **secured).cursor() as server:
        server.execute("SELECT id, word FROM checked ORDER BY id")
        same(list(server.fetchall()))
    for refused in [{"password": "other", **secured}, {"password": "secret", "user": "app", "ssl_disabled": True}]:
        try:
            connect(address, **refused)
        except pymysql.OperationalError:
            continue
        wrong(f"not refused: {refused}")


run(write, read)
