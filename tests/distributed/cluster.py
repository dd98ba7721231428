"""The worker processes of one run on this machine, which find each other by TF_CONFIG or Slurm's variables."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def free_ports(count):
    """Free loopback ports."""
    sockets = [socket.socket() for _ in range(count)]
    for found in sockets:
        found.bind(("localhost", 0))
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def by_tf_config(count):
    """The environment of each of ``count`` workers, as Kubernetes sets it."""
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [{"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})} for task in tasks]


def by_slurm(count):
    """The environment of each of ``count`` tasks on one machine, as Slurm sets it."""
    job = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NUM_TASKS": str(count),
        "SLURM_STEP_TASKS_PER_NODE": str(count),
        "SLURM_STEP_NODELIST": "localhost",
    }
    return [{**job, "SLURM_PROCID": str(index)} for index in range(count)]


def start_workers(commands, *, folders=None, environment=os.environ, told_by=by_tf_config):
    """Start one process per command line, worker 0 first, each in its folder and with its output in a pipe."""
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
    """Wait for all processes to succeed and return their outputs."""
    outputs = [process.communicate(timeout=timeout)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return outputs


def run_alone(*command, **environment):
    """Run a command that must succeed and return its output."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
