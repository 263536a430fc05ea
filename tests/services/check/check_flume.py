"""Flume: what it takes goes through file channels and both sinks to a second agent, which writes it to files.

The second agent is started by the second reading: what was taken before outlived the first agent's kill -9.
"""

import io
import os
import socket
import subprocess
from pathlib import Path

import thriftpy2
from thriftpy2.protocol import TCompactProtocol
from thriftpy2.thrift import TClient
from thriftpy2.transport import TFramedTransport, TSocket

from common import ROWS, run, wrong

SCRIPT = Path(__file__).parents[1] / "flume.sh"
FLUME = thriftpy2.load_fp(
    io.StringIO(
        """
        struct ThriftFlumeEvent { 1: required map<string, string> headers, 2: required binary body }
        enum Status { OK, FAILED, ERROR, UNKNOWN }
        service ThriftSourceProtocol { Status appendBatch(1: list<ThriftFlumeEvent> events) }
        """
    ),
    "flume_thrift",
)
LIMIT = 20.0


def port(folder, name):
    return int(Path(folder, f"{name}.port").read_text())


def send_lines(address, words):
    host, number = address.split(":")
    with socket.create_connection((host, int(number)), timeout=LIMIT) as server, server.makefile("rw") as lines:
        for word in words:
            lines.write(word + "\n")
            lines.flush()
            if lines.readline() != "OK\n":
                wrong(f"{word} was not taken")


def send_events(folder, words):
    transport = TSocket("127.0.0.1", port(folder, "thrift"))
    transport.set_timeout(LIMIT * 1000)
    transport = TFramedTransport(transport)
    transport.open()
    client = TClient(FLUME.ThriftSourceProtocol, TCompactProtocol(transport))
    client.appendBatch([FLUME.ThriftFlumeEvent(headers={"kind": "checked"}, body=word.encode()) for word in words])
    transport.close()


def write(address, folder):
    send_lines(address, [f"line {word}" for _, word in ROWS])
    send_events(folder, [f"event {word}" for _, word in ROWS])


def read(address, folder):
    count = Path(folder, "readings")
    number = int(count.read_text()) + 1 if count.exists() else 1
    send_lines(address, [f"line of reading {number}"])
    count.write_text(str(number))
    if number == 1:
        return
    ports = {"FLUME_NETCAT_PORT": port(folder, "avro-target"), "FLUME_THRIFT_PORT": port(folder, "thrift-target")}
    receiver = Path(folder, "receiver")
    settings = {"FLUME_ROLE": "receiver", **{name: str(value) for name, value in ports.items()}}
    subprocess.run([SCRIPT, "start", receiver], env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)
    wanted = {f"{kind} {word}" for kind in ("line", "event") for _, word in ROWS}
    wanted |= {f"line of reading {reading}" for reading in range(1, number + 1)}
    subprocess.run(["timeout", str(LIMIT), "bash", "-c", WAIT, "wait", receiver, *wanted], check=True)


# Until each of the words is a line of what was received.
WAIT = """
for word in "${@:2}"; do
  until cat "$1"/received/* 2>/dev/null | grep -qxF "$word"; do sleep 0.1; done
done
"""

run(write, read)
