"""The other side of mysql.sh: clicks to rows by pymysql, in statements of many rows.

  statements.py HOST:PORT TABLE FILE

FILE has the lines. Prints the rows that were sent, the seconds it took, and this process's CPU seconds meanwhile.
"""

import sys
import time

import pymysql

STATEMENT, TRANSACTION = 1000, 10000


def rows(lines):
    for line in lines:
        fields = line.rstrip("\n").split(",")
        if len(fields) == 6 and fields[0] and fields[5].isdigit() and 0 < int(fields[5]) < 2**64:
            yield (*fields[:5], int(fields[5]))


def main(address, table, path):
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.readlines()
    host, port = address.split(":")
    connection = pymysql.connect(host=host, port=int(port), user="root", database="tests", charset="utf8mb4")
    cursor = connection.cursor()
    cursor.execute(
        f"CREATE TABLE {table} (id varchar(768) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL PRIMARY KEY, "
        "student longtext, url longtext, clicked longtext, item longtext, quantity bigint unsigned) "
        "ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"
    )
    names = ("student", "url", "clicked", "item", "quantity")
    update = ", ".join(f"{name} = VALUES({name})" for name in names)
    insert = f"INSERT INTO {table} (id, {', '.join(names)}) VALUES "
    row = "(%s, %s, %s, %s, %s, %s)"
    began, cpu, sent = time.monotonic(), time.process_time(), 0
    some = []

    def flush():
        sql = insert + ", ".join([row] * len(some)) + " ON DUPLICATE KEY UPDATE " + update
        cursor.execute(sql, [value for one in some for value in one])
        some.clear()

    for one in rows(lines):
        some.append(one)
        sent += 1
        if len(some) == STATEMENT:
            flush()
        if sent % TRANSACTION == 0:
            connection.commit()
    if some:
        flush()
    connection.commit()
    print(sent, time.monotonic() - began, time.process_time() - cpu)


main(*sys.argv[1:])
