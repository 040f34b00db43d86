"""What a folder for temporary files holds while a run goes on, also of files without a name."""

import os
import threading
from contextlib import suppress
from pathlib import Path

PAUSE = 0.02
MAX_BYTES = 1 << 24


class Watch:
    """Keeps the contents of each file below a folder that is there for some hundredths of a second.

    Files without a name are found as long as a process has them open, by its descriptors in /proc,
    which other systems than Linux do not have.
    """

    def __init__(self, folder):
        self.folder = folder
        self.contents = {}
        self._seen = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(PAUSE):
            self.look()

    def look(self):
        """Read what is new or has changed."""
        for folder, _, names in os.walk(self.folder):  # which passes over what has just gone
            for path in (Path(folder, name) for name in names):
                self._keep(path, path.relative_to(self.folder))
        for links in Path("/proc").glob("[0-9]*/fd"):
            with suppress(OSError):
                for link in links.iterdir():
                    self._look_at_descriptor(link)

    def _look_at_descriptor(self, link):
        with suppress(OSError):
            target = os.readlink(link)
            if target.startswith(f"{self.folder}{os.sep}") and target.endswith(" (deleted)"):
                self._keep(link, f"without a name: {Path(target).name}")

    def _keep(self, path, name):
        with suppress(OSError):
            status = path.stat()
            key, state = (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)
            if not os.path.isfile(path) or self._seen.get(key) == state:
                return
            with path.open("rb") as file:
                self.contents[str(name), key, state] = file.read(MAX_BYTES)
            self._seen[key] = state
