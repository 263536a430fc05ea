"""A schema registry, by Confluent's own client: its wire format, ids that stay, a schema that does not fit."""

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from common import ROWS, run, same, wrong

SCHEMA = """{"type": "record", "name": "Row", "fields": [
  {"name": "id", "type": "long"}, {"name": "word", "type": "string"}]}"""
OTHER = """{"type": "record", "name": "Row", "fields": [{"name": "id", "type": "string"}]}"""
CONTEXT = SerializationContext("checked", MessageField.VALUE)
FILE = "messages"


def connect(address):
    return SchemaRegistryClient({"url": address, "timeout": 5, "max.retries": 0})


def write(address, folder):
    server = connect(address)
    serializer = AvroSerializer(server, SCHEMA)
    messages = [serializer({"id": number, "word": word}, CONTEXT) for number, word in ROWS]
    same([message[:1] for message in messages], [b"\0"] * len(ROWS))
    with open(f"{folder}/{FILE}", "w") as file:
        file.writelines(message.hex() + "\n" for message in messages)
    try:
        server.register_schema("checked-value", Schema(OTHER, "AVRO"))
    except SchemaRegistryError as error:
        same(error.http_status_code, 409)
        return
    wrong("a schema that does not fit was registered")


def read(address, folder):
    server = connect(address)
    deserializer = AvroDeserializer(server)
    with open(f"{folder}/{FILE}") as file:
        rows = [deserializer(bytes.fromhex(line), CONTEXT) for line in file]
    same([(row["id"], row["word"]) for row in rows])
    try:
        server.get_schema(1000)
    except SchemaRegistryError as error:
        same((error.http_status_code, error.error_code), (404, 40403))
        return
    wrong("schema 1000 is there")


run(write, read)
