"""The independent oracle of the clicks in Elasticsearch: reads the topic, computes what index and dead letters must be, and
compares with what the server answers over HTTP.

  clicks_elasticsearch.py BROKERS TOPIC HOST:PORT INDEX DEAD-LETTER-TOPIC

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import json
import sys
import urllib.request

import clicks

COLUMNS = ["student", "url", "clicked", "item", "quantity"]
PAGE = 5000


def ask(address, path, body):
    body = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", body, {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def documents(address, index):
    ask(address, f"/{index}/_refresh", None)
    page = ask(address, f"/{index}/_search?scroll=1m", {"size": PAGE, "sort": ["_doc"]})
    while page["hits"]["hits"]:
        for hit in page["hits"]["hits"]:
            yield hit["_id"], hit["_source"]
        page = ask(address, "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})


def document(key, cells):
    values = [cells[column].decode() for column in clicks.COLUMNS]
    return {"id": key, **dict(zip(COLUMNS, values)), "quantity": int(values[-1])}


def main(brokers, topic, address, index, dead_letter_topic):
    wanted, refused, counts = clicks.expected(brokers, topic)
    wanted = {key.decode(): document(key.decode(), cells) for key, cells in wanted.items()}
    found, differences = {}, []
    for key, source in documents(address, index):
        if key in found:
            differences.append(f"document {key} is there twice")
        found[key] = source
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            differences.append(f"document {key}: must be {wanted.get(key)}, is {found.get(key)}")
    differences += clicks.letter_differences(refused, topic, brokers, dead_letter_topic, counts)
    print(json.dumps(counts))
    for difference in differences[: clicks.DIFFERENCES_SHOWN]:
        print(difference, file=sys.stderr)
    sys.exit(bool(differences))


if __name__ == "__main__":
    main(*sys.argv[1:])
