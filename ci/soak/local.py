"""A thousand requests of random lengths to the local model behind `aurora serve`, of which some are cancelled and some lose
their client at a random moment: every slot comes back, and memory stays flat.

    python3 ci/soak/local.py target/release/aurora [REQUESTS]

It starts the server on a free loopback port and ends it. The model is taken from AURORA_DATA_DIR, as always."""

import http.client
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = 12
# What the whole run may take, and what a single read may.
PATIENCE, READ = 600, 60
# What memory may grow by in the second half: what an allocator holds on to, and streams that are kept.
GROWTH_MB = 48

aurora = sys.argv[1]
total = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
counts = {}
problems = []
lock = threading.Lock()
numbers = iter(range(total))
began = time.monotonic()


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


def body(draw):
    words = "The keeper counted ships. " * draw.randrange(40)
    messages = [{"role": "user", "content": f"{draw.randrange(5)} {words}"}]
    return json.dumps({"model": "local/smollm2", "messages": messages, "max_tokens": 1 + draw.randrange(30), "stream": True})


def one(address, draw):
    """One request, read to its end or left in the middle."""
    fate = draw.choice(["read", "read", "leave", "cancel"])
    connection = http.client.HTTPConnection(*address, timeout=READ)
    try:
        headers = {"content-type": "application/json", "x-on-disconnect": "cancel"}
        connection.request("POST", "/v1/chat/completions", body(draw), headers)
        answer = connection.getresponse()
        if answer.status == 503:
            assert answer.getheader("retry-after"), "a 503 without Retry-After"
            answer.read()
            count("busy")
            time.sleep(0.05)
            return False
        assert answer.status == 200, f"status {answer.status}: {answer.read()[:200]}"
        stream, lines, last = answer.getheader("x-stream-id"), 0, b""
        most = draw.randrange(1, 40) if fate != "read" else None
        for line in answer:
            lines += 1
            last = line if line.startswith(b"data:") else last
            if lines == most:
                break
        if fate == "cancel" and lines == most:
            ask(address, "POST", f"/v1/streams/{stream}/cancel")
        if fate == "read":
            assert last.strip() == b"data: [DONE]", f"it ended with {last!r}"
        count(fate)
        return True
    finally:
        connection.close()


def ask(address, method, path):
    connection = http.client.HTTPConnection(*address, timeout=READ)
    try:
        connection.request(method, path, headers={"content-length": "0"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status < 300, f"{method} {path}: {answer.status}"
    finally:
        connection.close()


def client(address, seed):
    draw = random.Random(seed)
    for number in numbers_of_this_run():
        try:
            while not one(address, draw):
                pass
        except Exception as error:
            with lock:
                problems.append(f"request {number}: {error!r}")
        if time.monotonic() - began > PATIENCE or len(problems) > 10:
            return


def numbers_of_this_run():
    while True:
        with lock:
            number = next(numbers, None)
        if number is None:
            return
        yield number


def resident(process):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def files(process):
    return len(os.listdir(f"/proc/{process}/fd"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "config.toml"
        # Finished streams go soon, so that what they keep is the same in both halves.
        config.write_text('[streams]\nkeep = "2s"\n')
        log = open(pathlib.Path(folder) / "log", "w+")
        server = subprocess.Popen(
            [aurora, "serve", "--listen", "127.0.0.1:0", "--config", str(config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        try:
            return soak(server, log)
        finally:
            server.terminate()
            server.wait(60)


def soak(server, log):
    address = None
    while address is None:
        assert server.poll() is None and time.monotonic() - began < 30, "the server does not listen"
        log.seek(0)
        found = re.search(r"listening on http://([\d.]+):(\d+)", log.read())
        address = (found[1], int(found[2])) if found else None
        time.sleep(0.05)
    ask(address, "GET", "/health")
    one(address, random.Random(0))
    opened = files(server.pid)
    threads = [threading.Thread(target=client, args=(address, seed)) for seed in range(1, CLIENTS + 1)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        seen.append(resident(server.pid))
        time.sleep(0.1)
    # All places are free again: as many as there are can be taken at once, and none is refused.
    busy = counts.get("busy", 0)
    last = [threading.Thread(target=one, args=(address, random.Random(seed))) for seed in range(100, 132)]
    for thread in last:
        thread.start()
    for thread in last:
        thread.join()
    patience = time.monotonic() + 10
    while files(server.pid) > opened + 2 and time.monotonic() < patience:
        time.sleep(0.1)
    half = len(seen) // 2
    first, second = max(seen[:half], default=0), max(seen[half:], default=0)
    print(f"{total} requests by {CLIENTS} clients in {time.monotonic() - began:.0f} s: {counts}")
    print(f"memory at most {first:.0f} MB in the first half, {second:.0f} MB in the second")
    if counts.get("busy", 0) > busy:
        problems.append("places were not given back")
    if second > first + GROWTH_MB:
        problems.append("memory grows")
    if files(server.pid) > opened + 2:
        problems.append(f"{files(server.pid)} files are open, {opened} were")
    done = sum(number for what, number in counts.items() if what != "busy")
    if done < total:
        problems.append(f"only {done} were done")
    for problem in problems:
        print("FAILED:", problem)
    print(f"{done} passed, {len(problems)} failed")
    return 1 if problems else 0


sys.exit(main())
