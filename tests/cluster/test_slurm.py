"""somray.sbatch: what it gives to Ray, what it leaves behind, what it does when it is told to end.

With real Slurm: `cluster/README.md` says how, and what was seen.
"""

import re
import subprocess

import pytest

from tests.cluster.cluster_files import CLUSTER, tool
from tests.cluster.stand_in import CANCELLED, TIME_IS_UP, StandIn

SCRIPTS = sorted((CLUSTER / "slurm").iterdir())


@pytest.fixture
def slurm(tmp_path):
    return StandIn(tmp_path)


def options(slurm):
    (line,) = slurm.noted("ray")
    return dict(re.findall(r"--([a-z-]+)=(\S+)", line))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.name)
def test_shellcheck_finds_nothing(script):
    found = subprocess.run(
        [tool("shellcheck"), script], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.name)
def test_a_job_comes_back_and_goes_on_with_its_log(script):
    asked = re.findall(r"^#SBATCH (\S+)", script.read_text(), re.MULTILINE)
    assert {"--requeue", "--open-mode=append", "--signal=B:USR1@180"} <= set(asked)


def test_ray_gets_what_slurm_has_given(slurm):
    assert slurm.run("cohort.yaml")[0] == 0
    given = options(slurm)
    assert given["num-cpus"] == "6"  # of the node's 64
    assert given["num-gpus"] == "0"
    total = int(given["memory"]) + int(given["object-store-memory"])
    assert total == (32768 - 3276) * 2**20
    assert given["dashboard-host"] == "127.0.0.1"


@pytest.mark.parametrize(("told", "count"), [("2", "2"), ("gpu:a100:4", "4")])
def test_gpus_are_counted_however_slurm_names_them(slurm, told, count):
    slurm.run("cohort.yaml", SLURM_GPUS_ON_NODE=told)
    assert options(slurm)["num-gpus"] == count


def test_ports_are_the_jobs_own(slurm, tmp_path):
    slurm.run("cohort.yaml")
    given = options(slurm)
    ports = [int(value) for name, value in given.items() if name.endswith("port")]
    assert len(ports) == 11
    assert len(set(ports)) == 11
    assert all(10000 <= port < 32768 for port in ports)
    (tmp_path / "other").mkdir()
    other = StandIn(tmp_path / "other")
    other.run("cohort.yaml", SLURM_JOB_ID="4712")
    theirs = options(other)
    assert int(theirs["port"]) > int(given["max-worker-port"]) or int(
        theirs["max-worker-port"]
    ) < int(given["port"])


@pytest.mark.parametrize("code", [0, 2, 3, 4])
def test_the_drivers_exit_code_is_the_jobs(slurm, code):
    assert slurm.run("cohort.yaml", CODE=str(code))[0] == code


def test_arguments_reach_the_driver(slurm):
    slurm.run("my cohort.yaml", "--set", "seed=3")
    assert slurm.noted("python") == [
        "python -m somray.cli run my cohort.yaml --set seed=3 --address 10.0.0.1:6000"
    ]


def test_the_token_is_made_for_the_job_and_told_to_nobody(slurm):
    _, first = slurm.run("cohort.yaml")
    assert slurm.noted("token") == ["token token 64"]
    assert slurm.noted("mode") == ["mode 700", "mode 600"]
    assert not re.search(r"[0-9a-f]{32}", first + slurm.log.read_text())


def test_a_token_of_the_environment_is_taken(slurm):
    _, output = slurm.run("cohort.yaml", RAY_AUTH_TOKEN="a-secret-of-mine")
    assert slurm.noted("token") == ["token token 16"]
    assert "a-secret-of-mine" not in output + slurm.log.read_text()


def test_nothing_stays_behind(slurm):
    left = slurm.folder / "t" / "somray-4711-h.old1"
    left.mkdir()  # of an attempt that was killed
    slurm.run("cohort.yaml")
    assert list((slurm.folder / "t").iterdir()) == []


def test_another_jobs_folder_is_left_alone(slurm):
    other = slurm.folder / "t" / "somray-47110-h.abcd"
    other.mkdir()
    slurm.run("cohort.yaml")
    assert other.is_dir()


def test_a_head_that_does_not_start_is_tried_again_and_told(slurm):
    code, output = slurm.run("cohort.yaml", RAY_FAILS="1")
    assert code == 4
    assert output.count("no port is free") == 3
    assert slurm.noted("python") == []


def test_further_nodes_get_a_worker_each_and_only_that_step_is_ended(slurm):
    slurm.run("cohort.yaml", SLURM_JOB_NUM_NODES="3")
    (step,) = slurm.noted("srun")
    assert "--nodes=2 --ntasks=2" in step
    assert "--exclude=n1" in step
    assert "SLURM_JOB_ID" not in step.split("bash -c")[0]
    assert slurm.noted("scancel") == ["scancel --quiet --signal=TERM 4711.0"]


def test_time_is_up_puts_the_job_back(slurm):
    _, output = slurm.signal(TIME_IS_UP)
    assert slurm.noted("driver") == ["driver told"]
    assert slurm.noted("scontrol") == ["scontrol requeue 4711"]
    assert "back into the queue" in output


def test_a_job_that_came_back_too_often_stays_away(slurm):
    code, _ = slurm.signal(TIME_IS_UP, SLURM_RESTART_COUNT="20")
    assert slurm.noted("scontrol") == []
    assert code == 143


def test_a_cancelled_job_does_not_come_back(slurm):
    code, _ = slurm.signal(CANCELLED)
    assert slurm.noted("driver") == ["driver told"]
    assert slurm.noted("scontrol") == []
    assert code == 143
    assert list((slurm.folder / "t").iterdir()) == []


def test_a_task_of_an_array_takes_one_protocol(slurm):
    slurm.run("cohort.yaml", "--set", "seed=3", SLURM_ARRAY_TASK_ID="2")
    split, run = slurm.noted("python")
    assert re.fullmatch(r"python -m jobs.one_protocol \S+ 2 cohort.yaml --set seed=3", split)
    assert run == "python -m somray.cli run /part/cohort.yaml --address 10.0.0.1:6000"


def test_outside_slurm_the_use_is_told(slurm):
    code, output = slurm.run("cohort.yaml", SLURM_JOB_ID="")
    assert code == 2
    assert output.startswith("usage: sbatch")
