#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Python programs ask of a kernel. Prints nothing that differs from run to run."""
import asyncio
import concurrent.futures
import fcntl
import hashlib
import json
import mmap
import multiprocessing
import os
import queue
import random
import selectors
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib


def threads():
    total, lock, q = [0], threading.Lock(), queue.Queue()

    def work():
        while True:
            item = q.get()
            if item is None:
                return
            with lock:
                total[0] += item

    workers = [threading.Thread(target=work) for _ in range(8)]
    for w in workers:
        w.start()
    for i in range(1000):
        q.put(i)
    for _ in workers:
        q.put(None)
    for w in workers:
        w.join()
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    print("threads", total[0], event.wait(5))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print("pool", sum(pool.map(lambda x: x * x, range(100))))


def processes():
    run = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 7"], input=b"through", capture_output=True)
    print("subprocess", run.returncode, run.stdout, run.stderr)
    try:
        subprocess.run(["sleep", "10"], timeout=0.2)
    except subprocess.TimeoutExpired:
        print("timeout")
    try:
        subprocess.run(["/does/not/exist"])
    except FileNotFoundError as error:
        print("missing", error.errno)
    p = subprocess.Popen(["sleep", "100"])
    p.terminate()
    print("terminated", p.wait(), flush=True)
    pid = os.fork()
    if pid == 0:
        os._exit(5)
    print("fork", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    with multiprocessing.Pool(3) as pool:
        print("multiprocessing", pool.map(abs, [-1, -2, 3]))


def databases():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "t.db")
        for journal in ("delete", "wal"):
            db = sqlite3.connect(path)
            print("sqlite", db.execute("pragma journal_mode=" + journal).fetchone())
            db.execute("create table if not exists t (a integer primary key, b text)")
            with db:
                db.executemany("insert into t (b) values (?)", [("row %d" % i,) for i in range(500)])
            other = sqlite3.connect(path)
            print(other.execute("select count(*), max(b) from t").fetchone())
            other.close()
            db.close()
        print(sorted(os.listdir(d)))


def tcp():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    sizes = (5, 1000, 300000)

    def serve():
        for _ in sizes:
            conn, _ = server.accept()
            with conn:
                while data := conn.recv(65536):
                    conn.sendall(data.upper())

    def send(c, size):
        c.sendall(b"x" * size)
        c.shutdown(socket.SHUT_WR)

    t = threading.Thread(target=serve)
    t.start()
    for size in sizes:
        with socket.create_connection(("127.0.0.1", port)) as c:
            sender = threading.Thread(target=send, args=(c, size))
            sender.start()
            got = b""
            while data := c.recv(65536):
                got += data
            sender.join()
            print("tcp", len(got), got == b"X" * size)
    t.join()


def sockets():
    a, b = socket.socketpair()
    with tempfile.TemporaryFile() as f:
        f.write(b"passed along")
        f.flush()
        socket.send_fds(a, [b"fd"], [f.fileno()])
        _, fds, _, _ = socket.recv_fds(b, 10, 1)
        print("passed", os.pread(fds[0], 20, 0))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", 0))
    u.sendto(b"self", u.getsockname())
    print("udp", u.recv(10))
    print("names", socket.gethostbyname("localhost"))


async def conversation():
    async def handle(reader, writer):
        writer.write((await reader.readline())[::-1])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def client(i):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        w.write(b"client %d\n" % i)
        data = await r.read()
        w.close()
        return data

    return await asyncio.gather(*[client(i) for i in range(20)])


async def async_child():
    p = await asyncio.create_subprocess_exec("echo", "async child", stdout=subprocess.PIPE)
    return (await p.communicate())[0]


def event_loops():
    print("asyncio", len(set(asyncio.run(conversation()))))
    print(asyncio.run(async_child()))


def memory():
    with tempfile.TemporaryFile() as f:
        f.truncate(1 << 20)
        m = mmap.mmap(f.fileno(), 1 << 20)
        m[12345:12350] = b"hello"
        m.flush()
        print("mmap", os.pread(f.fileno(), 5, 12345), m.find(b"hello"))
        m.resize(2 << 20)
        print(len(m), os.fstat(f.fileno()).st_size)
        m.close()
    anonymous = mmap.mmap(-1, 4096)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        anonymous[0:5] = b"child"
        os._exit(0)
    os.waitpid(pid, 0)
    print(anonymous[0:5])
    big = bytearray(100 << 20)
    big[50 << 20] = 1
    print(sum(big[:: 1 << 20]))


def signals():
    got = []
    signal.signal(signal.SIGUSR1, lambda s, f: got.append(s))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.3)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    os.kill(os.getpid(), signal.SIGUSR2)
    print("signals", [int(s) for s in got], int(signal.sigwait({signal.SIGUSR2})))
    r, w = os.pipe()
    os.set_blocking(w, False)
    signal.set_wakeup_fd(w)
    os.kill(os.getpid(), signal.SIGUSR1)
    print("wakeup", os.read(r, 1))
    signal.set_wakeup_fd(-1)


def files():
    with tempfile.TemporaryDirectory() as d:
        with tempfile.NamedTemporaryFile(dir=d) as f:
            f.write(b"x" * 100000)
            f.flush()
            print("tempfile", os.path.getsize(f.name))
        for i in range(200):
            with open(os.path.join(d, "f%d" % i), "w") as f:
                f.write(str(i))
        print(sum(int(open(e.path).read()) for e in os.scandir(d)))
        shutil.copytree(d, d + "-copy")
        print(len(os.listdir(d + "-copy")))
        shutil.rmtree(d + "-copy")
        with open(os.path.join(d, "lock"), "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            fcntl.lockf(f, fcntl.LOCK_EX)
        os.symlink("f1", os.path.join(d, "link"))
        print(os.readlink(os.path.join(d, "link")), os.stat(os.path.join(d, "link")).st_size)
    sel = selectors.DefaultSelector()
    r, w = os.pipe()
    sel.register(r, selectors.EVENT_READ)
    os.write(w, b"x")
    print("selector", [k.fd == r for k, _ in sel.select(1)])


def computing():
    rng = random.Random(42)
    data = bytes(rng.randrange(256) for _ in range(100000))
    print("hash", hashlib.sha256(data).hexdigest()[:16], hashlib.blake2b(data).hexdigest()[:16])
    print("zlib", zlib.decompress(zlib.compress(data)) == data)
    doc = {"list": list(range(5)), "nested": {"a": None, "b": 1.5}, "text": "\u00e9"}
    print("json", json.loads(json.dumps(doc)) == doc, json.dumps(doc, sort_keys=True))
    print("float", sum(x ** 0.5 for x in range(10000)), 0.1 + 0.2, 2 ** 200)


for part in (threads, processes, databases, tcp, sockets, event_loops, memory, signals, files, computing):
    part()
    sys.stdout.flush()
print("environment", os.getcwd(), sys.version_info[:2], time.monotonic() > 0, os.cpu_count() > 0)
sys.exit(17)
