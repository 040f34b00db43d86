"""File systems that do not answer: by a library that is preloaded, and by a real mount."""

import ctypes
import os
import shutil
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

INIT = 26
FORCED, LAZILY = 1, 2
HEADER, REPLY = struct.Struct("<IIQ"), struct.Struct("<IiQ")
INIT_REPLY = struct.Struct("<IIIIHHII32x")  # version, read-ahead, flags, queues, largest write


def build_hanging_calls(folder):
    """The path of the preloaded library, compiled here."""
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("there is no C compiler (cc), or no LD_PRELOAD")
    library = Path(folder, "hanging_calls.so")
    source = Path(__file__).with_name("hanging_calls.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"],
        check=True,
        capture_output=True,
    )
    return library


@contextmanager
def dead_mount(folder):
    """Mount a FUSE file system whose server never answers; not even SIGKILL ends who asks it."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"no file system can be mounted by FUSE: {error}")
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0,allow_other"
    try:
        if libc.mount(b"dead", os.fsencode(folder), b"fuse.dead", 0, options.encode()):
            pytest.skip(f"this user may not mount: {os.strerror(ctypes.get_errno())}")
        _, operation, request = HEADER.unpack_from(os.read(server, 1 << 17))
        assert operation == INIT
        content = INIT_REPLY.pack(7, 31, 1 << 16, 0, 10, 10, 1 << 16, 1)
        os.write(server, REPLY.pack(REPLY.size + len(content), 0, request) + content)
        yield server
    finally:
        libc.umount2(os.fsencode(folder), FORCED)  # whoever waits gets an error now
        libc.umount2(os.fsencode(folder), LAZILY)
        os.close(server)


def take_request(server):
    """Read a question, after which whoever asked it cannot be interrupted any more."""
    return os.read(server, 1 << 17)
