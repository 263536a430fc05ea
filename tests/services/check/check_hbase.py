"""HBase through its gateway: a put with an older time changes nothing."""

import happybase

from common import ROWS, run, same

TABLE = b"checked"


def connect(address):
    host, port = address.split(":")
    return happybase.Connection(host, int(port), timeout=20000)


def write(address, folder):
    server = connect(address)
    server.create_table(TABLE, {"f": {}})
    table = server.table(TABLE)
    for number, word in ROWS:
        table.put(str(number).encode(), {b"f:word": word.encode()}, timestamp=2000)
        table.put(str(number).encode(), {b"f:word": b"older"}, timestamp=1000)


def read(address, folder):
    same([(int(key), cells[b"f:word"].decode()) for key, cells in connect(address).table(TABLE).scan()])


if __name__ == "__main__":
    run(write, read)
