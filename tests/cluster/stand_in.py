"""Slurm, Ray and somray as small programs that write down how they were called; somray.sbatch runs on them."""

import os
import signal
import stat
import subprocess
import sys
import time

from tests.cluster.cluster_files import CLUSTER

SCRIPT = CLUSTER / "slurm" / "somray.sbatch"
RAY = """#!/bin/bash
echo "ray $*" >> "$LOG"
for given in "$@"; do case $given in --temp-dir=*) place=${given#*=} ;; esac; done
mkdir -p "$place"
[ -z "$RAY_FAILS" ] || { echo "no port is free"; exit 1; }
echo 10.0.0.1:6000 > "$place/ray_current_cluster"
sleep 600 & child=$!
trap 'kill $child; exit 0' TERM
wait
"""
PYTHON = """#!/bin/bash
case "$*" in
  "- "*) exec {python} "$@" ;;
  *one_protocol*) echo "python $*" >> "$LOG"; echo "/part/cohort.yaml" ;;
  *)
    echo "python $*" >> "$LOG"
    echo "token ${{RAY_AUTH_MODE}} ${{#RAY_AUTH_TOKEN}}" >> "$LOG"
    stat -c "mode %a" "$SOMRAY_JOB_FOLDER" "$SOMRAY_JOB_FOLDER/token" >> "$LOG"
    trap 'echo "driver told" >> "$LOG"; exit 143' TERM
    [ -z "$SLOW" ] || {{ touch "$LOG.started"; sleep 600 & wait $!; }}
    exit "$CODE" ;;
esac
"""
NOTED = '#!/bin/bash\necho "{name} $*" >> "$LOG"\n'


class StandIn:
    """A folder with the stand-ins, and what they noted."""

    def __init__(self, folder):
        self.folder, self.log = folder, folder / "log"
        self.log.touch()
        texts = {"ray": RAY, "python": PYTHON.format(python=sys.executable)}
        texts |= {name: NOTED.format(name=name) for name in ("srun", "scontrol", "scancel")}
        texts["sleep"] = (
            '#!/bin/bash\n[ "$1" = 60 ] || exec /bin/sleep "$1"\n'  # Slurm would end us
        )
        for name, text in texts.items():
            file = folder / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        (folder / "t").mkdir()

    def start(self, *arguments, **environment):
        """Start the script as Slurm does."""
        known = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder), "LOG": str(self.log),
            "SOMRAY_VENV": str(self.folder), "SOMRAY_TEMPORARY": str(self.folder / "t"), "CODE": "0",
            "SLURM_JOB_ID": "4711", "SLURM_JOB_NUM_NODES": "1", "SLURM_CPUS_PER_TASK": "6",
            "SLURM_CPUS_ON_NODE": "64", "SLURM_MEM_PER_NODE": "32768", "SLURMD_NODENAME": "n1",
        }  # fmt: skip
        return subprocess.Popen(
            ["/bin/bash", SCRIPT, *arguments], env=known | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *arguments, **environment):
        """Run to the end; return code and output."""
        started = self.start(*arguments, **environment)
        output, _ = started.communicate(timeout=60)
        return started.returncode, output

    def signal(self, number, **environment):
        """Start a slow driver, send a signal once it runs, and wait for the end."""
        started = self.start("cohort.yaml", SLOW="1", **environment)
        mark = self.folder / "log.started"
        deadline = time.monotonic() + 60
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(started.pid, number)
        output, _ = started.communicate(timeout=60)
        return started.returncode, output

    def noted(self, name):
        """Return the calls of one program."""
        return [line for line in self.log.read_text().splitlines() if line.startswith(f"{name} ")]


TIME_IS_UP, CANCELLED = signal.SIGUSR1, signal.SIGTERM
