"""A SLURM cluster of one host, with daemons of its own that end with it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo")
CPUS = 8
"""As the cluster is told; the host may have fewer."""

# Jobs find it here: Snakemake's plugin takes SLURM's variables out of their environment.
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
SlurmdParameters=config_overrides
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def find_missing_requirement() -> str:
    """Why there can be no cluster here, empty if there can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: slurm-wlm and munge)"
    if os.geteuid():
        return "the daemons need root"
    if SYSTEM_CONF.exists():
        return f"this host has a cluster: {SYSTEM_CONF}"
    return ""


class Cluster:
    """Daemons in the foreground, as children of this process.

    Raises
    ------
    RuntimeError
        No node came up; with the ends of the logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        munge = folder / "munge"
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o700)
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        conf = CONF.format(host=host, ports=(free_port(), free_port()), folder=folder, cpus=CPUS)
        SYSTEM_CONF.parent.mkdir(exist_ok=True)
        SYSTEM_CONF.write_text(conf)
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
        names = [f"--{option}={munge / name}" for option, name in files.items()]
        self._start("munged", "--foreground", "--force", *names, f"--log-file={munge / 'log'}")
        wait_for((munge / "socket").exists)
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D")
        if not wait_for(lambda: "idle" in self.say("sinfo", "--noheader")):
            logs = [path.read_text()[-2000:] for path in folder.glob("*.log")]
            self.close()
            raise RuntimeError("\n".join(["no node came up", *logs]))

    def _start(self, *words: str) -> None:
        with (self.folder / f"{words[0]}.out").open("wb") as output:
            self.processes.append(subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT))

    @staticmethod
    def say(*words: str) -> str:
        """What a command of SLURM prints."""
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    def queue(self) -> list[str]:
        """Jobs that wait or run, by their numbers."""
        return self.say("squeue", "--noheader", "--format=%i").split()

    def close(self) -> None:
        """End the daemons, the last one first."""
        self.say("scancel", "--user=root")
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
        SYSTEM_CONF.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
