"""The independent oracle of the clicks in MySQL or MariaDB: reads the topic, computes what table and dead letters must be, and
compares with what the server's own client reads.

  clicks_mysql.py BROKERS TOPIC URL TABLE DEAD-LETTER-TOPIC

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import re
import subprocess
import sys

import clicks

COLUMNS = ["id", "student", "url", "clicked", "item", "quantity"]
# How the client writes what would end a value or a row.
ESCAPED = {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}


def rows(url, table):
    user, host, port, database = re.fullmatch("mysql://(.*)@(.*):(.*)/(.*)", url).groups()
    names = ", ".join(f"`{column}`" for column in COLUMNS)
    command = ["mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-N", "-B", "-q", "-u", user, "-h", host, "-P", port]
    said = subprocess.run([*command, "-D", database, "-e", f"SELECT {names} FROM `{table}`"], check=True, capture_output=True)
    for line in said.stdout.decode().split("\n")[:-1]:
        yield [re.sub(r"\\(.)", lambda match: ESCAPED[match[1]], value) for value in line.split("\t")]


def main(brokers, topic, url, table, dead_letter_topic):
    clicks.compare_rows(brokers, topic, rows(url, table), dead_letter_topic)


if __name__ == "__main__":
    main(*sys.argv[1:])
