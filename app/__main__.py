"""`python -m app`: start the app with everything warm, and print its address.

Options: --port (8501), --address (127.0.0.1: this machine only; 0.0.0.0: everybody on the network), --workers (training
processes, at most as many as cores; RESFLOW_WORKERS of the environment, or 1), --cluster (where these run by Ray:
"local", or the address of a cluster; RESFLOW_CLUSTER of the environment, or none), --embed (sites that may show the app
in a frame; RESFLOW_EMBED of the environment, or none), --hosts (names of the server beside this machine's own;
RESFLOW_HOSTS), --proxy (addresses of proxies that are trusted; RESFLOW_PROXY). Ctrl-C stops it.
"""

import argparse
import contextlib
import importlib
import os
import socket
import sys
import time
from pathlib import Path

from app import callers, engine, hosts, security
from app.streamlit_internals import serve

# Imported before anybody waits for them.
FIRST_PAGE_NEEDS = ("app.features.home.replay", "app.ui.controls", "app.components.live", "app.ui.scene")
WARM_UP_SECONDS = 10.0
LAST_PORT = 65535
MAIN = Path(__file__).parent / "main.py"


# By option: the variable of the environment that it is else taken from, what it says, and what holds without both.
OF_ENVIRONMENT = {
    "--workers": (
        engine.WORKERS_VARIABLE,
        "training processes, at most the number of cores, or of the cluster's CPUs",
        "1, or all of a cluster",
    ),
    "--cluster": (
        engine.CLUSTER_VARIABLE,
        "train by Ray: local, or the address of a cluster in a private network, such as 10.0.0.1:6379",
        "without Ray",
    ),
    "--embed": (
        security.EMBED_VARIABLE,
        "sites that may show the app in a frame, such as https://lecture.example.org, with spaces between them",
        "none",
    ),
    "--hosts": (
        hosts.HOSTS_VARIABLE,
        "names of the server beside this machine's own, such as flows.example.org, with spaces between them",
        "none",
    ),
    "--proxy": (
        callers.PROXY_VARIABLE,
        "addresses of proxies before the server, which are believed who its visitors are",
        "none",
    ),
}


def main() -> int:
    args = options(sys.argv[1:])
    if problem := port_problem(args.address, args.port):
        print(problem, file=sys.stderr)
        return 2

    os.environ[engine.WORKERS_VARIABLE], os.environ[engine.CLUSTER_VARIABLE] = args.workers, args.cluster
    os.environ[security.EMBED_VARIABLE], os.environ[hosts.HOSTS_VARIABLE] = args.embed, args.hosts
    try:
        security.origins(args.embed)
        hosts.hosts(args.hosts)
        callers.trust(args.proxy)
        training = engine.get_engine()  # its process starts while this one imports the rest
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for module in FIRST_PAGE_NEEDS:
        importlib.import_module(module)
    import click

    warm_up(training)

    with contextlib.suppress(click.Abort):  # by Ctrl-C, which is how one stops it
        serve(["run", str(MAIN), "--server.port", str(args.port), "--server.address", args.address])
    return 0


def options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app", description="See residual flows learn, in the browser.")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument(
        "--address", default="127.0.0.1", help="0.0.0.0 opens it to the network (default: this machine only)"
    )
    for option, (variable, told, otherwise) in OF_ENVIRONMENT.items():
        parser.add_argument(
            option,
            default=os.environ.get(variable, ""),
            help=f"{told} (default: {variable} of the environment, else {otherwise})",
        )
    return parser.parse_args(words)


def warm_up(training: engine.Engine) -> None:
    """Have a first picture drawn, and those of the data sets: the first visitor waits for neither a process that is
    still starting nor scikit-learn."""
    from app.engine.commands import ViewRequest
    from app.setup import Setup
    from app.ui import data_choice

    run = training.create(Setup().experiment())
    data_choice.known()
    deadline = time.monotonic() + WARM_UP_SECONDS
    while not training.poll(run, ViewRequest()).arms and time.monotonic() < deadline:
        time.sleep(0.02)
    training.close(run)


def port_problem(address: str, port: int) -> str | None:
    """What to do about a port that cannot be had; None if it can."""
    if not 1 <= port <= LAST_PORT:
        return f"--port {port}: use a whole number from 1 to {LAST_PORT}."
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((address, port))
        except OSError as error:
            other = port + 1 if port < LAST_PORT else port - 1
            return (
                f"Port {port} at {address} cannot be used ({error}). Perhaps the app runs already: "
                f"open http://localhost:{port}, or choose another port: python -m app --port {other}"
            )
    return None


if __name__ == "__main__":
    sys.exit(main())
