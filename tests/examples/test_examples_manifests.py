"""The Kubernetes manifests: what refers to another part finds it, and the commands in them can be parsed."""

import os
import shlex
import subprocess
from pathlib import Path

import yaml

from keras_vae_cli.train import command as train

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def documents(name):
    return {document["kind"]: document for document in yaml.safe_load_all((EXAMPLES / name).read_text("utf-8"))}


def container_of(pod):
    """The pod's only container, after checking that its mounts name volumes."""
    (container,) = pod["containers"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    return container


def test_kubernetes_serves_the_model_that_it_mounts_and_probes():
    deployment = documents("kubernetes.yaml")["Deployment"]["spec"]
    template = deployment["template"]
    assert deployment["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()

    container = container_of(template["spec"])

    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    name = environment["MODEL_NAME"]
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == f"/models/{name}"
    assert mount["subPath"] == name
    assert container["readinessProbe"]["httpGet"]["path"] == f"/v1/models/{name}"
    # TensorFlow Serving's own ports.
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert container["readinessProbe"]["httpGet"]["port"] in ports
    assert container["livenessProbe"]["tcpSocket"]["port"] in ports


def test_kubernetes_s_service_finds_the_deployment_s_pods():
    parts = documents("kubernetes.yaml")
    template = parts["Deployment"]["spec"]["template"]
    service = parts["Service"]["spec"]

    assert service["selector"].items() <= template["metadata"]["labels"].items()
    names = {port["name"] for port in container_of(template["spec"])["ports"]}
    assert {port["targetPort"] for port in service["ports"]} == names


def test_tfjob_trains_and_goes_on_with_options_that_train_takes(tmp_path):
    job = documents("tfjob.yaml")["TFJob"]["spec"]
    worker = job["tfReplicaSpecs"]["Worker"]
    container = container_of(worker["template"]["spec"])
    assert (worker["restartPolicy"], container["name"]) == ("OnFailure", "tensorflow")
    (mount,) = container["volumeMounts"]
    (script,) = container["args"]
    script = script.replace(mount["mountPath"], str(tmp_path))
    log, program = tmp_path / "log", tmp_path / "programs" / "keras-vae"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n', encoding="utf-8")
    program.chmod(0o755)
    path = os.pathsep.join((str(program.parent), os.environ["PATH"]))

    subprocess.run([*container["command"], script], env={"PATH": path}, check=True)
    run = tmp_path / "runs" / "photos"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}", encoding="utf-8")
    subprocess.run([*container["command"], script], env={"PATH": path}, check=True)

    begun, gone_on = (shlex.split(line) for line in log.read_text("utf-8").splitlines())
    assert train.make_context("train", begun[1:]).params["data__dataset"] == f"folder:{tmp_path}/photos"
    assert gone_on == ["train", "--resume", "--run-dir", str(run)]
    train.make_context("train", gone_on[1:])
