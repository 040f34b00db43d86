"""Run job.py in a process that has its libraries loaded, else in a new one.

    python -I -S run_job.py decode --input ...

Imports as little as possible, since each job pays for it. The server is
dicom_preprocessing.workflow.fork_server.
"""

import os
import sys

try:
    import _socket as socket
except ImportError:
    import socket

NOT_SERVED, BROKEN = 255, 1
SCRIPTS = os.path.dirname(os.path.abspath(__file__))


def main() -> int:
    """Run the job with these arguments."""
    command = [os.path.join(SCRIPTS, "job.py"), *sys.argv[1:]]
    folder, _, parent = os.environ.get("DP_FORK_SERVER", "").rpartition(":")
    status = run_forked(folder, parent, command) if folder else NOT_SERVED
    if status == NOT_SERVED:
        os.execv(sys.executable, [sys.executable, *command])  # noqa: S606  # no shell is meant
    return status


def run_forked(folder: str, parent: str, command: list[str]) -> int:
    """Exit status of the command, NOT_SERVED where it was not run."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(f"{folder}/socket")
    except OSError:
        start_server(folder, parent)
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


def start_server(folder: str, parent: str) -> None:
    """Start a server for later jobs, unless another job has done so."""
    try:
        os.close(os.open(f"{folder}/lock", os.O_CREAT | os.O_EXCL))
    except OSError:
        return
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, 256)
    server = os.path.join(SCRIPTS, "fork_server.py")
    os.execv(sys.executable, [sys.executable, server, folder, parent])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
