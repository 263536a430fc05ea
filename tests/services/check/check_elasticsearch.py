"""Elasticsearch: documents with an external version; a late request with an older one is refused."""

from common import ROWS, run, same, wrong
from elasticsearch import ConflictError, Elasticsearch


def connect(address):
    return Elasticsearch([f"http://{address}"], timeout=10, max_retries=0)


def write(address, folder):
    server = connect(address)
    for number, word in ROWS:
        server.index(index="checked", id=number, document={"word": word}, version=2, version_type="external")
        try:
            server.index(index="checked", id=number, document={"word": "older"}, version=1, version_type="external")
        except ConflictError:
            continue
        wrong("an older version came through")
    server.indices.refresh(index="checked")


def read(address, folder):
    server = connect(address)
    server.cluster.health(index="checked", wait_for_status="yellow")
    hits = server.search(index="checked", query={"match_all": {}})["hits"]["hits"]
    same(sorted((int(hit["_id"]), hit["_source"]["word"]) for hit in hits))


run(write, read)
