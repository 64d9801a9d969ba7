#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry of misbehaviours for the tests of `nacre pull`.

usage: registry.py CERTIFICATE KEY DIRECTORY

Serves one image over TLS on two ports of localhost, which are two hosts to a client; the first
component of the repository's name says what goes wrong. DIRECTORY/ports gets the two port numbers when
it listens, DIRECTORY/facts what a test needs to know of the image (shell assignments), and
DIRECTORY/log one line a request: port, method, path, Range and Authorization, "-" for none.
"""
import base64
import hashlib
import http.server
import io
import json
import os
import platform
import ssl
import sys
import tarfile
import threading

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
USER = "Basic " + base64.b64encode(b"user:pass:word").decode()
LAYERS, LAYER_SIZE = 3, 1 << 20


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(number):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        data = os.urandom(LAYER_SIZE)
        info = tarfile.TarInfo("file%d" % number)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Image:
    """Blobs by digest, and the manifests: an index for two platforms, and one of docker's kind."""

    def __init__(self):
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        self.blobs, self.manifests = {}, {}
        layers = [layer(i) for i in range(LAYERS)]
        self.layers = [self.put(data) for data in layers]
        entries = []
        for arch in (machine, "s390x"):
            config = self.put(json.dumps({
                "os": "linux", "architecture": arch, "config": {"Cmd": ["/file0"]},
                "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]}}).encode())
            body = self.manifest(OCI + "manifest.v1+json", OCI + "config.v1+json", OCI + "layer.v1.tar", config)
            entries.append({"mediaType": OCI + "manifest.v1+json", "digest": digest(body), "size": len(body),
                            "platform": {"os": "linux", "architecture": arch}})
            if arch == machine:
                self.config = config
        self.index = self.keep(json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                                           "manifests": entries}).encode(), OCI + "index.v1+json")
        self.docker = self.manifest(DOCKER + "distribution.manifest.v2+json", DOCKER + "container.image.v1+json",
                                    DOCKER + "image.rootfs.diff.tar", self.config)
        self.other = entries[1]["digest"]

    def put(self, data):
        self.blobs[digest(data)] = data
        return {"digest": digest(data), "size": len(data)}

    def keep(self, body, media):
        self.manifests[digest(body)] = (body, media)
        return body

    def manifest(self, media, config_media, layer_media, config, shorter=0):
        return self.keep(json.dumps({
            "schemaVersion": 2, "mediaType": media, "config": dict(config, mediaType=config_media),
            "layers": [dict(one, mediaType=layer_media, size=one["size"] - shorter) for one in self.layers]}).encode(),
            media)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    image, ports, log, lock, seen = None, None, None, threading.Lock(), {}

    def log_message(self, *args):
        pass

    def note(self, *words):
        with self.lock:
            print(*words, file=self.log, flush=True)

    def times(self, *key):
        """How often this was asked before."""
        with self.lock:
            self.seen[key] = self.seen.get(key, 0) + 1
            return self.seen[key] - 1

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def challenge(self, text):
        self.answer(401, json.dumps({"errors": [{"code": "UNAUTHORIZED"}]}).encode(), WWW_Authenticate=text)

    def endless(self, media):
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Connection", "close")
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def do_GET(self):
        self.port = self.server.server_address[1]
        self.login = self.headers.get("Authorization")
        self.range = self.headers.get("Range")
        self.note(self.port, self.command, self.path, self.range or "-", self.login or "-")
        self.close_connection = False
        try:
            if self.path.startswith("/token"):
                return self.token()
            if self.path.startswith("/lure/"):
                return self.challenge('Bearer realm="https://localhost:%d/token",service="s"' % self.ports[1])
            if self.path.startswith("/elsewhere/"):
                return self.blob(self.path.split("/")[2])
            parts = self.path.split("/")
            how, kind, name = parts[2], parts[-2], parts[-1]
            if how == "proxy":  # a prefix in front of another repository
                how = parts[3]
            if not self.allowed(how):
                return None
            if kind == "manifests":
                return getattr(self, "manifest_" + how, self.manifest)(name)
            return getattr(self, "blob_" + how, self.blob)(name)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def do_POST(self):
        self.posted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.do_GET()

    # Logins

    def token(self):
        if self.command == "POST":
            if "refresh_token=refresh%2Bme&" not in self.posted:
                return self.answer(401, b"no")
        elif self.path.endswith("private%3Apull") and self.login != USER:
            return self.answer(401, b"no")
        with self.lock:
            self.seen["tokens"] = self.seen.get("tokens", 0) + 1
            token = "token-%d" % self.seen["tokens"]
        return self.answer(200, json.dumps({"token": token, "expires_in": 60}).encode())

    def allowed(self, how):
        if how in ("basic", "away"):
            if self.login != USER:
                self.challenge('Basic realm="here"')
                return False
        elif how in ("bearer", "identity"):
            # Each token is good for two requests.
            if not (self.login or "").startswith("Bearer token-") or self.times(self.login) >= 2:
                self.challenge('Bearer realm="https://localhost:%d/token",service="a b",scope="repository:x:push"'
                               % self.ports[0])
                return False
        elif how == "plainlogin":
            self.challenge('Bearer realm="http://localhost:%d/token",service="s"' % self.ports[0])
            return False
        return True

    # Manifests

    def manifest(self, name):
        body, media = self.image.manifests[name] if name in self.image.manifests else (
            self.image.index, OCI + "index.v1+json")
        if name not in self.image.manifests and name != "latest":
            return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        return self.answer(200, body, Content_Type=media)

    def manifest_docker(self, name):
        self.answer(200, self.image.docker, Content_Type=DOCKER + "distribution.manifest.v2+json")

    def manifest_lies(self, name):
        body, media = self.image.manifests[name] if name in self.image.manifests else (
            self.image.index, OCI + "index.v1+json")
        self.answer(200, body if name == "latest" else body + b" ", Content_Type=media)

    def manifest_small(self, name):
        body = self.image.manifest(OCI + "manifest.v1+json", OCI + "config.v1+json", OCI + "layer.v1.tar",
                                   self.image.config, 512)
        self.answer(200, body, Content_Type=OCI + "manifest.v1+json")

    def manifest_huge(self, name):
        self.endless(OCI + "index.v1+json")

    def manifest_promise(self, name):
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        self.wfile.write(b"{")

    def manifest_old(self, name):
        self.answer(200, b'{"schemaVersion": 1}', Content_Type=DOCKER + "distribution.manifest.v1+prettyjws")

    def manifest_loop(self, name):
        self.answer(307, Location=self.path)

    def manifest_down(self, name):
        self.answer(500, b"broken \x1b[31m" + b"x" * 100000)

    def manifest_busy(self, name):
        before = self.times("busy", name)
        if before < 2:
            return self.answer((503, 429)[before], Retry_After="0")
        return self.manifest(name)

    # Blobs

    def part(self, data):
        """What is asked for of it, and the headers that say so."""
        if not self.range:
            return 200, data, {}
        start = int(self.range.split("=")[1].split("-")[0])
        return 206, data[start:], {"Content_Range": "bytes %d-%d/%d" % (start, len(data) - 1, len(data))}

    def blob(self, name):
        status, data, headers = self.part(self.image.blobs[name])
        self.answer(status, data, **headers)

    def half(self, status, data, headers):
        """Half of it, and the connection ends."""
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:len(data) // 2])
        self.wfile.flush()
        self.close_connection = True

    def blob_cut(self, name):
        status, data, headers = self.part(self.image.blobs[name])
        if self.times("cut", name) < 2:
            return self.half(status, data, headers)
        return self.answer(status, data, **headers)

    def blob_whole(self, name):
        """Ranges are not for this one."""
        data = self.image.blobs[name]
        if self.times("whole", name) < 1:
            return self.half(200, data, {})
        return self.answer(200, data)

    def blob_norange(self, name):
        if self.range:
            return self.answer(416)
        if self.times("norange", name) < 1:
            return self.half(200, self.image.blobs[name], {})
        return self.blob(name)

    def blob_hang(self, name):
        status, data, headers = self.part(self.image.blobs[name])
        if len(data) < LAYER_SIZE // 2 or self.times("hang"):
            return self.answer(status, data, **headers)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:len(data) // 2])
        self.wfile.flush()
        self.note("hanging")
        self.rfile.read(1)  # until the client is gone
        self.close_connection = True
        return None

    def blob_short(self, name):
        self.half(200, self.image.blobs[name], {})

    def blob_wrong(self, name):
        data = bytearray(self.image.blobs[name])
        data[-1] ^= 1
        self.answer(200, bytes(data))

    def blob_endless(self, name):
        self.endless("application/octet-stream")

    def blob_away(self, name):
        self.answer(307, Location="https://localhost:%d/elsewhere/%s" % (self.ports[1], name))

    def blob_lured(self, name):
        self.answer(307, Location="https://localhost:%d/lure/%s" % (self.ports[1], name))

    def blob_downgrade(self, name):
        self.answer(302, Location="http://localhost:%d/elsewhere/%s" % (self.ports[1], name))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        """Clients that refuse the certificate or are killed are what the tests are about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, address)


def main():
    certificate, key, directory = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    Handler.image = Image()
    Handler.log = open(os.path.join(directory, "log"), "w")
    servers = []
    for _ in range(2):
        server = Server(("127.0.0.1", 0), Handler)
        # The handshake belongs to the connection's thread, or one client would hold up all.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        servers.append(server)
    Handler.ports = [server.server_address[1] for server in servers]
    with open(os.path.join(directory, "facts"), "w") as f:
        f.write("INDEX=%s\nOTHER=%s\nBLOBS=%d\n" % (digest(Handler.image.index), Handler.image.other, LAYERS + 1))
    with open(os.path.join(directory, "ports.new"), "w") as f:
        f.write("A=%d\nB=%d\n" % tuple(Handler.ports))
    os.rename(os.path.join(directory, "ports.new"), os.path.join(directory, "ports"))
    threading.Thread(target=servers[1].serve_forever, daemon=True).start()
    servers[0].serve_forever()


main()
