"""Processes of one run on this machine, each told by TF_CONFIG who the others are."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def free_ports(count):
    """Ports of loopback that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for found in sockets:
        found.bind(("localhost", 0))
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def by_tf_config(count):
    """What tells each of so many workers who it is, as Kubernetes does."""
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [{"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})} for task in tasks]


def by_slurm(count):
    """What tells each of so many tasks on one machine who it is, as Slurm does."""
    job = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NUM_TASKS": str(count),
        "SLURM_STEP_TASKS_PER_NODE": str(count),
        "SLURM_STEP_NODELIST": "localhost",
    }
    return [{**job, "SLURM_PROCID": str(index)} for index in range(count)]


def start_workers(commands, *, folders=None, environment=os.environ, told_by=by_tf_config):
    """A process for each command line, worker 0 first, in its folder, with its output in a pipe."""
    folders = folders or [Path.cwd()] * len(commands)
    processes = []
    for command, folder, told in zip(commands, folders, told_by(len(commands)), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        processes.append(
            subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3", **told},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return processes


def outputs_of(processes, timeout=300):
    """What each said, once all have ended well."""
    outputs = [process.communicate(timeout=timeout)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return outputs


def run_alone(*command, **environment):
    """What a command said, which ends well."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
