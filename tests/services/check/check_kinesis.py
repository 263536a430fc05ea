"""Kinesis: a stream of one shard, split after the first record; parents are read before children."""

import boto3
from botocore.config import Config

from common import ROWS, run, same

STREAM = "checked"


def connect(address):
    settings = Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=10)
    return boto3.client(
        "kinesis", endpoint_url=address, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s",
        config=settings,
    )


def write(address, folder):
    server = connect(address)
    server.create_stream(StreamName=STREAM, ShardCount=1)
    server.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    put(server, ROWS[0])
    shard = server.list_shards(StreamName=STREAM)["Shards"][0]
    middle = str(int(shard["HashKeyRange"]["EndingHashKey"]) // 2)
    server.split_shard(StreamName=STREAM, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
    server.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    for row in ROWS[1:]:
        put(server, row)


def put(server, row):
    server.put_record(StreamName=STREAM, Data=row[1].encode(), PartitionKey=str(row[0]))


def read(address, folder):
    server = connect(address)
    shards = server.list_shards(StreamName=STREAM)["Shards"]
    same([shard.get("ParentShardId") for shard in shards], [None] + [shards[0]["ShardId"]] * 2)
    same(shard_rows(server, shards[0]), ROWS[:1])
    same(sorted(shard_rows(server, shards[1]) + shard_rows(server, shards[2])), ROWS[1:])


def shard_rows(server, shard):
    start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = server.get_shard_iterator(StreamName=STREAM, **start)["ShardIterator"]
    records = server.get_records(ShardIterator=iterator)["Records"]
    return [(int(record["PartitionKey"]), record["Data"].decode()) for record in records]


run(write, read)
