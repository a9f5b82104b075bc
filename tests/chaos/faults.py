"""What goes wrong in the night, kind by kind: each breaks a storm's run and says what came of it."""

import contextlib
import csv
import shutil

import psutil

__all__ = ["FAULTS"]


def _kill(storm, title):
    found = storm.city.workers(title)
    if not found:
        return f"no {title} at work"
    victim = found[int(storm.rng.integers(len(found)))]
    with contextlib.suppress(psutil.Error):
        victim.kill()
    return "went on"


def worker_killed(storm):
    """A task's process is killed."""
    return _kill(storm, "ray::execute")


def actor_killed(storm):
    """The process of a protocol's actor is killed."""
    return _kill(storm, "ray::ProtocolActor")


def node_lost(storm):
    """A node is gone at once; later another joins."""
    storm.city.ask("kill")
    storm.wait(2)
    storm.city.ask("grow")
    return "went on"


def node_preempted(storm):
    """A spot node is taken away with a second's notice; another joins."""
    storm.city.ask("preempt")
    storm.city.ask("grow")
    return "went on"


def head_killed(storm):
    """Everything that is Ray falls; the job is started again on a new cluster."""
    storm.city.fall()
    code = storm.driver.end()
    assert code != 0
    storm.check_kept()
    storm.keep()
    storm.rebuild()
    storm.start()
    return f"exit {code}, started again"


def driver_killed(storm):
    """The driver is killed, and started again at once."""
    storm.driver.kill()
    storm.check_kept()
    storm.keep()
    storm.start()
    return "started again"


def job_stopped(storm):
    """`ray job stop`: the driver ends in an orderly way, and is started again."""
    code = storm.driver.stop()
    assert code in (143, 0), storm.driver.told()[-3000:]
    storm.check_kept()
    storm.keep()
    storm.start()
    return f"exit {code}, started again"


def disk_full(storm):
    """No space is left; somebody makes some and starts the run again."""
    storm.set("full")
    code = storm.ended(4)
    assert "space" in storm.driver.told()
    storm.clear()
    storm.check_kept()
    storm.keep()
    storm.start()
    return f"exit {code}, started again"


def storage_flaky(storm):
    """Every third write fails once."""
    storm.set("flaky")
    goes_on = storm.wait(8)
    storm.clear()
    if goes_on:
        return "went on"
    code = storm.driver.end()
    assert code in (0, 4), storm.driver.told()[-3000:]
    storm.start()
    return f"exit {code}, started again"


def storage_slow(storm):
    """Every write takes 50 ms for a while."""
    storm.set("slow")
    storm.wait(12)
    storm.clear()
    return "went on"


def _scan(storm):
    with (storm.folder / "scans.csv").open() as file:
        rows = list(csv.DictReader(file))
    row = rows[int(storm.rng.integers(len(rows)))]
    return f"sub-{row['subject']}_ses-{row['session']}"


def unit_kills_worker(storm):
    """Whoever writes one scan dies, each time; it is set aside, and done by the next run."""
    storm.set("deadly", name=_scan(storm))
    code = storm.ended(0, 3, 4)
    storm.clear()
    storm.check_kept()
    storm.start()
    return f"exit {code}, started again"


def unit_hangs(storm):
    """Whoever writes one scan never comes back; its time limit ends it, the next run does it."""
    code = storm.driver.stop()
    assert code in (143, 0), storm.driver.told()[-3000:]
    storm.set("hanging", name=(victim := _scan(storm)))
    storm.start("resources.unit_minutes=0.3")
    code = storm.ended(0, 3, 4)
    storm.clear()
    if any(victim not in unit for unit in storm.given_up()):
        storm.doubt()  # a busy machine is slow: the limit ended others too, and what stands on them is due again
    storm.start()
    return f"exit {code}, started again"


def two_drivers(storm):
    """A second driver takes the run over while the first still works."""
    first, storm.driver = storm.driver, storm.another()
    code = first.end()
    assert code == 0 or (code == 4 and "taken over" in first.told()), first.told()[-3000:]
    storm.check_kept()
    return f"the first ended with {code}"


def clock_steps(storm):
    """The wall clock goes back by five hours, and later forward again."""
    storm.set("clock", hours=5)
    storm.wait(6)
    storm.clear()
    return "went on"


def manifest_edited(storm):
    """Between two runs a row goes, another's file is replaced, and later all is as before."""
    manifest = storm.folder / "scans.csv"
    code = storm.driver.stop()
    assert code in (143, 0), storm.driver.told()[-3000:]
    before = manifest.read_text()
    rows = before.splitlines()
    place = int(storm.rng.integers(1, len(rows)))
    victim = storm.folder / "plain1.nii.gz"
    spare = storm.folder / "spare.nii.gz"
    shutil.copy2(victim, spare)
    try:
        manifest.write_text("\n".join(rows[:place] + rows[place + 1 :]) + "\n")
        shutil.copy(storm.folder / "plain0.nii.gz", victim)  # a duplicate where row 0 stays
        storm.start()
        storm.wait(int(storm.rng.integers(1, 14)))
        storm.driver.kill()
    finally:
        manifest.write_text(before)
        shutil.move(spare, victim)
    storm.doubt()
    storm.start()
    return "started again with each"


FAULTS = {
    fault.__name__: fault
    for fault in (
        worker_killed, actor_killed, node_lost, node_preempted, head_killed, driver_killed,
        job_stopped, disk_full, storage_flaky, storage_slow, unit_kills_worker, unit_hangs,
        two_drivers, clock_steps, manifest_edited,
    )
}  # fmt: skip
