"""A list of checks of one client, run in order.

Each check prints one line; a failed one does not keep the next from running. Written instead of using a test framework
so that a client's script needs nothing but the client.
"""

import sys
import time
import traceback

_checks = []


def check(function):
    """Registers a function as a check; its name, read as words, is what is printed."""
    _checks.append(function)
    return function


def base_url(usage):
    """The first argument: where the server is, without the path."""
    if len(sys.argv) < 2 or not sys.argv[1].startswith("http"):
        sys.exit(f"usage: {usage}")
    return sys.argv[1].rstrip("/")


def run(client):
    """Runs every check and ends the process: 0 if all passed, else 1."""
    failed = 0
    for function in _checks:
        name = function.__name__.replace("_", " ")
        began = time.monotonic()
        try:
            function()
        except Exception:  # a check may fail in any way, and the others still tell something
            failed += 1
            print(f"FAILED {name}", flush=True)
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok {name} ({time.monotonic() - began:.2f} s)", flush=True)
    print(f"{client}: {len(_checks) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
