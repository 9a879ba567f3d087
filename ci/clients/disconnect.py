"""A client that leaves in the middle of an answer, after which the server must stop generating it.

    python ci/clients/disconnect.py http://127.0.0.1:8080 PID

What tells is the server's processor time, which the system counts: generation takes all there is, an idle server none.
PID is the server's; Linux only. The answer is one that would go on for a minute.
"""

import json
import os
import socket
import sys
import time
from urllib.parse import urlsplit

from checks import base_url, check, run

USAGE = "disconnect.py http://127.0.0.1:8080 PID"
SERVER = urlsplit(base_url(USAGE))
PID = int(sys.argv[2]) if len(sys.argv) > 2 else sys.exit(f"usage: {USAGE}")

# The design says 0.2 s; here other programs may hold the processors meanwhile.
GRACE = 0.5


def processor_seconds():
    """What the server has used so far, in all its threads (proc_pid_stat(5), fields 14 and 15)."""
    with open(f"/proc/{PID}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_within(seconds):
    before = processor_seconds()
    time.sleep(seconds)
    return processor_seconds() - before


def leave_in_the_middle(stream):
    body = json.dumps({
        "model": "gpt-3.5-turbo",
        "stream": stream,
        "max_tokens": 6000,
        "logit_bias": {"0": -100, "2": -100, "4": -100},  # the tokens that would end it
        "messages": [{"role": "user", "content": "Write a long story about a lighthouse keeper."}],
    }).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {SERVER.netloc}\r\nContent-Length: {len(body)}\r\n"
    # Without this the server goes on for a while, for it may be a connection that was lost.
    head += "X-On-Disconnect: cancel\r\n\r\n"
    with socket.create_connection((SERVER.hostname, SERVER.port), timeout=120) as connection:
        connection.sendall(head.encode() + body)
        if stream:
            received = b""
            while received.count(b"data: ") < 5:
                piece = connection.recv(65536)
                assert piece, "the server left first"
                received += piece
        else:
            time.sleep(0.5)
        busy = used_within(1.0)
    time.sleep(GRACE)
    idle = used_within(1.0)
    print(f"processor time a second: {busy:.2f} s while it answered, {idle:.2f} s after the client had left")
    assert busy > 0.2, "the server was not generating, so nothing is shown"
    assert idle < busy / 5, "the server goes on generating for nobody"


@check
def a_stream_that_nobody_reads_is_not_generated():
    leave_in_the_middle(stream=True)


@check
def nor_is_a_whole_answer_that_nobody_waits_for():
    leave_in_the_middle(stream=False)


if __name__ == "__main__":
    run("disconnect")
