"""Run job.py in a process that has its libraries loaded, else in a new one.

    python -I -S run_job.py decode --input ...

Imports next to nothing, since this is what a job pays. The server is
dicom_preprocessing.workflow.fork_server.
"""

import os
import sys

try:
    import _socket as socket
except ImportError:
    import socket

NOT_SERVED, BROKEN = 255, 1
FOLDER = os.path.dirname(os.path.abspath(__file__))


def main() -> int:
    """Run the job with these arguments."""
    command = [os.path.join(FOLDER, "job.py"), *sys.argv[1:]]
    place, _, parent = os.environ.get("DP_FORK_SERVER", "").rpartition(":")
    status = run_forked(place, parent, command) if place else NOT_SERVED
    if status == NOT_SERVED:
        os.execv(sys.executable, [sys.executable, *command])  # noqa: S606  # no shell is meant
    return status


def run_forked(place: str, parent: str, command: list[str]) -> int:
    """Exit status of the command, NOT_SERVED where it was not run."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(f"{place}/socket")
    except OSError:
        start_server(place, parent)
        return NOT_SERVED
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    fields = [sys.executable, os.getcwd(), str(len(command)), *command, *environment]
    request = "\0".join(fields).encode(errors="surrogateescape")
    standard = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    try:
        link.sendmsg(
            [len(request).to_bytes(8, "little")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, standard)]
        )
        link.sendall(request)
        answer = link.recv(1)
    except OSError:
        answer = b""
    if answer:
        return answer[0]
    os.write(2, b"the process that keeps libraries loaded is gone; run again\n")
    return BROKEN


def start_server(place: str, parent: str) -> None:
    """Leave a server behind for later jobs, if no other job does."""
    try:
        os.close(os.open(f"{place}/lock", os.O_CREAT | os.O_EXCL))
    except OSError:
        return
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.closerange(3, 256)
    server = os.path.join(FOLDER, "fork_server.py")
    os.execv(sys.executable, [sys.executable, server, place, parent])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
