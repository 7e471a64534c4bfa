"""Limits of containers and batch jobs, read from the files that the kernel shows there, laid out in a folder."""

import os
from types import SimpleNamespace

import pytest

from snnb.core import machine

GIB = 1 << 30
UNLIMITED_1 = 9223372036854771712  # what version 1 shows without a limit
STAT_2 = "anon 1\ninactive_file 300\nactive_file 200\n"
STAT_1 = (
    "inactive_file 1\nactive_file 1\ntotal_inactive_file 300\ntotal_active_file 200\n"
)


def v2(limit, used, cpu):
    return {
        "memory.max": limit,
        "memory.current": used,
        "memory.stat": STAT_2,
        "cpu.max": cpu,
    }


def memory_1(limit, used):
    return {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": used,
        "memory.stat": STAT_1,
    }


def cpu_1(quota):
    return {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": 100000}


LAYOUTS = {
    "machine without limits": (
        "0::/user.slice\n",
        [("/", "fs", "cgroup2 cgroup2 rw")],
        {"fs/user.slice": v2("max", 5000, "max 100000")},
        (8, 64 * GIB, 32 * GIB),
    ),
    "Docker, version 2": (  # a cgroup namespace: the container's cgroup is the root that it sees
        "0::/\n",
        [("/", "fs", "cgroup2 cgroup rw,nsdelegate")],
        {"fs": v2(GIB, 10_000, "150000 100000")},
        (2, GIB, GIB - 10_000 + 500),
    ),
    "Slurm, version 2": (  # the job's limits are those of parents; a step has more than is left to the job
        "0::/system.slice/job_7/step_0/task\n",
        [("/", "fs", "cgroup2 cgroup2 rw")],
        {
            "fs/system.slice/job_7": v2(4 * GIB, 3 * GIB, "max 100000"),
            "fs/system.slice/job_7/step_0": v2(8 * GIB, GIB, "50000 100000"),
            "fs/system.slice/job_7/step_0/task": v2("max", 0, "300000 100000"),
            "fs/system.slice/other": v2(1, 1, "1000 100000"),
        },
        (1, 4 * GIB, GIB + 500),
    ),
    "Docker, version 1": (  # no namespace: the mounts show the container's cgroup of a path that is not visible
        "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
        [
            ("/docker/abc", "fs/memory", "cgroup cgroup rw,memory"),
            ("/docker/abc", "fs/cpu", "cgroup cgroup rw,cpu,cpuacct"),
        ],
        {"fs/memory": memory_1(GIB, 10_000), "fs/cpu": cpu_1(300000)},
        (3, GIB, GIB - 10_000 + 500),
    ),
    "machine with version 1 and an empty version 2": (
        "4:memory:/a/b\n1:cpu:/\n0::/\n",
        [
            ("/", "fs/memory", "cgroup cgroup rw,memory"),
            ("/", "fs/cpu", "cgroup cgroup rw,cpu"),
            ("/", "fs/unified", "cgroup2 cgroup2 rw"),
        ],
        {
            "fs/memory": memory_1(2 * GIB, GIB),
            "fs/memory/a/b": memory_1(UNLIMITED_1, 0),
            "fs/cpu": cpu_1(-1),
        },
        (8, 2 * GIB, GIB + 500),
    ),
    "outside its cgroup namespace": (
        "0::/../other\n",
        [("/", "fs", "cgroup2 cgroup2 rw")],
        {"fs": v2(GIB, 600, "max 100000"), "other": v2(1, 1, "1000 100000")},
        (8, GIB, GIB - 600 + 500),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_limits_of_a_container_or_job(tmp_path, monkeypatch, layout):
    groups, mounts, files, (processors, total, available) = LAYOUTS[layout]
    root = tmp_path / "with space"
    for folder, content in files.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, value in content.items():
            (root / folder / name).write_text(f"{value}\n")
    (tmp_path / "cgroup").write_text(groups)
    where = str(root).replace(" ", r"\040")
    lines = [
        f"30 20 0:1 {inside} {where}/{place} rw,nosuid shared:9 - {rest}"
        for inside, place, rest in mounts
    ]
    (tmp_path / "mountinfo").write_text(
        "\n".join(["20 1 8:1 / / rw - ext4 /dev/sda1 rw", *lines, ""])
    )
    monkeypatch.setattr(machine, "PROCESS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(
        "psutil.virtual_memory",
        lambda: SimpleNamespace(total=64 * GIB, available=32 * GIB),
    )
    assert machine.processors() == processors
    assert machine.memory() == (total, available)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert machine.processors() == 1


def test_without_proc_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PROCESS", tmp_path)
    assert machine.processors() == len(os.sched_getaffinity(0))
    assert machine.memory().total == os.sysconf("SC_PAGE_SIZE") * os.sysconf(
        "SC_PHYS_PAGES"
    )
