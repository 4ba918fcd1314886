"""One real llama.cpp server, as `llama-server -t 1 -tb 1 --metrics --slots` would be, from the xllamacpp wheel.

    python server.py --model M.gguf --port N [--parallel 4] [--context 8192]

TERM and INT end it as a good server ends: requests in flight are finished first (for at most --grace seconds), and the
port answers until then. One compute thread: more would spin against everything else on a small machine.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
import urllib.request

import xllamacpp


def parameters(options):
    """The server's settings."""
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.context
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_threads_http = max(16, 8 * options.parallel)
    params.warmup = False
    return params


def busy(port):
    """Slots that work on a request; none when the server cannot be asked."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/slots", timeout=2) as answer:
            return sum(1 for slot in json.load(answer) if slot["is_processing"])
    except (OSError, ValueError, KeyError):
        return 0


def main():
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description="one llama.cpp server")
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--grace", type=float, default=10.0)
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = xllamacpp.Server(parameters(options))
    print(f"serving on {server.listening_address}", file=sys.stderr, flush=True)
    stop.wait()
    until = time.monotonic() + options.grace
    while busy(options.port) and time.monotonic() < until:
        time.sleep(0.05)
    # The C++ side has threads of its own; what it would still do at exit is of no use to anybody.
    os._exit(0)


if __name__ == "__main__":
    main()
