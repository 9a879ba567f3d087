"""An upstream that takes its time, so that the server in front of it has silences to fill with signs of life.

    python ci/clients/slow_upstream.py PORT_FILE

It listens on a free loopback port, writes the number to the file, and answers every chat with five words, half a second
apart.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["one ", "two ", "three ", "four ", "five"]
PAUSE = 0.5


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-slow", "object": "chat.completion.chunk", "created": 1, "model": "slow", "choices": [choice]}


class Slow(BaseHTTPRequestHandler):
    """HTTP/1.0: the end of the connection is the end of the answer."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for word in WORDS:
                self.event(json.dumps(chunk({"content": word})))
                time.sleep(PAUSE)
            self.event(json.dumps(chunk({}, "stop")))
            self.event("[DONE]")
        except OSError:
            pass  # whoever asked has left

    def event(self, data):
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(str(server.server_port))
    server.serve_forever()
