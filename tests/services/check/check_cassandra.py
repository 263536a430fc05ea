"""Cassandra: a table of one partition; a write with an older time changes nothing."""

from cassandra.cluster import Cluster
from common import ROWS, run, same


def connect(address):
    host, port = address.split(":")
    cluster = Cluster([host], port=int(port), connect_timeout=5, protocol_version=5)
    return cluster, cluster.connect()


def write(address, folder):
    cluster, server = connect(address)
    server.execute("CREATE KEYSPACE checked WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    server.execute("CREATE TABLE checked.rows (part text, id bigint, word text, PRIMARY KEY (part, id))")
    insert = server.prepare("INSERT INTO checked.rows (part, id, word) VALUES ('p', ?, ?) USING TIMESTAMP ?")
    for row in ROWS:
        server.execute(insert, (*row, 2000))
        server.execute(insert, (row[0], "older", 1000))
    cluster.shutdown()


def read(address, folder):
    cluster, server = connect(address)
    same([tuple(row) for row in server.execute("SELECT id, word FROM checked.rows WHERE part = 'p'", timeout=20)])
    cluster.shutdown()


run(write, read)
