"""The other side of elasticsearch.sh: clicks to documents by opensearch-py's parallel_bulk.

  bulk.py HOST:PORT INDEX FILE

FILE has the lines. Prints the documents that were sent, the seconds it took, and this process's CPU seconds meanwhile.
"""

import sys
import time

from opensearchpy import OpenSearch
from opensearchpy.helpers import parallel_bulk

FIELDS = ["id", "student", "url", "clicked", "item", "quantity"]


def actions(lines):
    for line in lines:
        fields = line.rstrip("\n").split(",")
        if len(fields) != 6 or not fields[0] or not fields[5].isdigit() or not 0 < int(fields[5]) < 2**64:
            continue
        document = dict(zip(FIELDS, fields))
        document["quantity"] = int(fields[5])
        yield {"_id": fields[0], "_source": document}


def main(address, index, path):
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.readlines()
    server = OpenSearch([f"http://{address}"], timeout=60)
    kinds = {field: {"type": "keyword"} for field in FIELDS[:5]} | {"quantity": {"type": "unsigned_long"}}
    settings = {"index.gc_deletes": "600s"}
    server.indices.create(index=index, body={"settings": settings, "mappings": {"dynamic": "strict", "properties": kinds}})
    began, cpu, sent = time.monotonic(), time.process_time(), 0
    for good, answer in parallel_bulk(server, actions(lines), index=index, thread_count=2, chunk_size=2000):
        assert good, answer
        sent += 1
    print(sent, time.monotonic() - began, time.process_time() - cpu)


main(*sys.argv[1:])
