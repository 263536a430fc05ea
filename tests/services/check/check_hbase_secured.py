"""HBase's gateway by every way there is: a second one, HTTP, HTTPS, behind a proxy with a password, over TLS, mutual TLS."""

import base64
import ssl
from pathlib import Path

from thriftpy2.http import THttpClient, THttpHeaderFactory
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.thrift import TClient
from thriftpy2.transport import TSocket, TSSLSocket
from thriftpy2.transport.buffered import TBufferedTransport

import check_hbase
from check_hbase import TABLE
from common import ROWS, run, same, wrong
from Hbase_thrift import Hbase  # made by happybase, when it is imported, of HBase's own description


def port(folder, name):
    return int(Path(folder, f"{name}.port").read_text())


def tls(folder, client=None):
    context = ssl.create_default_context(cafile=str(Path(folder, "tls/ca.pem")))
    if client:
        context.load_cert_chain(str(Path(folder, f"tls/{client}.both.pem")))
    return context


def over_tcp(folder, name, context=None):
    if context:
        socket = TSSLSocket("localhost", port(folder, name), ssl_context=context)
    else:
        socket = TSocket("127.0.0.1", port(folder, name))
    socket.set_timeout(20000)
    return TBufferedTransport(socket)


def over_http(folder, name, context=None, secret=None):
    scheme = "https" if context else "http"
    text = base64.b64encode(f"app:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {text}"} if secret else {}
    return THttpClient(
        f"{scheme}://localhost:{port(folder, name)}/",
        timeout=20000,
        ssl_context_factory=(lambda: context) if context else None,
        http_header_factory=THttpHeaderFactory(headers),
    )


def rows(transport):
    transport.open()
    client = TClient(Hbase, TBinaryProtocol(transport, decode_response=False))
    found = []
    for number, _ in ROWS:
        row = client.getRow(TABLE, str(number).encode(), {})[0]
        found.append((int(row.row), row.columns[b"f:word"].value.decode()))
    transport.close()
    return found


def write(address, folder):
    check_hbase.write(f"127.0.0.1:{port(folder, 'gateway')}", folder)


def read(address, folder):
    same(rows(over_tcp(folder, "second")))
    same(rows(over_http(folder, "http")))
    same(rows(over_http(folder, "https", tls(folder))))
    same(rows(over_http(folder, "front", secret="secret")))
    same(rows(over_http(folder, "front-tls", tls(folder), "secret")))
    same(rows(over_tcp(folder, "tls", tls(folder))))
    same(rows(over_tcp(folder, "mutual", tls(folder, "client"))))
    refused = {
        "no password": lambda: over_http(folder, "front"),
        "another password": lambda: over_http(folder, "front", secret="other"),
        "no certificate": lambda: over_tcp(folder, "mutual", tls(folder)),
        "a stranger's certificate": lambda: over_tcp(folder, "mutual", tls(folder, "stranger")),
        "no TLS": lambda: over_tcp(folder, "tls"),
    }
    for what, transport in refused.items():
        try:
            rows(transport())
        except Exception:  # each layer has errors of its own
            continue
        wrong(f"not refused: {what}")


run(write, read)
