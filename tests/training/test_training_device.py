"""The choice of precision and XLA by device, and the record of it."""

import json

import keras
import pytest

from keras_vae.config import RunConfig
from keras_vae.training import build_trainer, device, environment

PRECISIONS = [
    ([], "float32", "no GPU, and a CPU without bfloat16"),
    ([("H200", (9, 0))], "mixed_bfloat16", "H200 computes in bfloat16"),
    ([("A100", (8, 0))], "mixed_bfloat16", "A100 computes in bfloat16"),
    ([("T4", (7, 5))], "mixed_float16", "T4 has float16 tensor cores, but no bfloat16"),
    ([("V100", (7, 0))], "mixed_float16", "V100"),
    ([("P100", (6, 0))], "float32", "P100 has no tensor cores"),
    ([("an unknown one", None)], "float32", "an unknown one"),
]


@pytest.fixture
def machine(monkeypatch):
    """Pretend that this machine has the given GPUs and instruction sets."""

    def make(gpus, flags=()):
        monkeypatch.setattr(device, "gpus", lambda: gpus)
        monkeypatch.setattr(device, "cpu_flags", lambda: frozenset(flags))

    return make


@pytest.mark.parametrize(("found", "value", "reason"), PRECISIONS)
def test_auto_precision_is_the_fastest_that_the_device_computes_in(found, value, reason, machine):
    machine(found)
    choice = device.choose_precision("auto")
    assert choice.value == value
    assert reason in choice.reason


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_auto_precision_is_bfloat16_on_a_cpu_that_multiplies_in_it(flag, machine):
    machine([], {"avx2", flag})
    choice = device.choose_precision("auto")
    assert choice == device.Choice("mixed_bfloat16", f"no GPU, a CPU with {flag}")


def test_cpu_flags_are_the_first_processors_and_none_where_linux_does_not_tell(tmp_path):
    listing = tmp_path / "cpuinfo"
    assert device.cpu_flags(listing) == frozenset()
    listing.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert device.cpu_flags(listing) == {"fpu", "avx512_bf16"}


@pytest.mark.parametrize(
    ("found", "value", "reason"), [([], "off", "slower on CPU"), ([("A100", (8, 0))], "on", "GPU")]
)
def test_auto_jit_is_on_where_there_is_a_gpu(found, value, reason, machine):
    machine(found)
    choice = device.choose_jit("auto")
    assert choice.value == value
    assert reason in choice.reason


def test_what_is_asked_for_is_taken(machine):
    machine([("A100", (8, 0))])
    assert device.choose_precision("float32") == device.Choice("float32", "as asked")
    assert device.choose_jit("off") == device.Choice("off", "as asked")


def test_gpus_names_each_gpu_with_its_compute_capability(monkeypatch):
    config = device.tf.config
    details = {"a": {"device_name": "A100", "compute_capability": (8, 0)}, "b": {}}
    physical = [type("Device", (), {"name": name}) for name in details]
    monkeypatch.setattr(config, "list_physical_devices", lambda kind: physical if kind == "GPU" else [])
    monkeypatch.setattr(config.experimental, "get_device_details", lambda found: details[found.name])
    assert device.gpus() == [("A100", (8, 0)), ("b", None)]


def test_the_environment_is_recorded_as_json_with_the_reasons():
    recorded = environment.describe_environment(RunConfig(precision="mixed_bfloat16"))

    assert json.loads(json.dumps(recorded)) == recorded
    assert recorded["precision"] == {"value": "mixed_bfloat16", "reason": "as asked"}
    assert recorded["packages"]["keras"] == keras.__version__
    assert recorded["jit"]["reason"]


@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_a_config_becomes_a_trainer(weight):
    config = RunConfig(precision="mixed_bfloat16", jit="off", epochs=3, steps_per_execution=2).replace(
        objective__adversarial_weight=weight, objective__perceptual_weight=0, optimizer__clip_norm=2.0
    )

    before = keras.mixed_precision.dtype_policy()
    trainer = build_trainer(config, steps_per_epoch=7)

    # The run does not change the policy of what the caller builds next.
    assert keras.mixed_precision.dtype_policy() == before
    assert trainer.vae.compute_dtype == "bfloat16"
    assert (trainer.discriminator is None) == (weight == 0)
    assert trainer.objective.perceptual_loss is None
    assert trainer.total_steps == 21
    assert trainer.jit_compile is False
    assert trainer.steps_per_execution == 2
    assert trainer.optimizer.inner_optimizer.global_clipnorm == 2.0
    assert trainer.ema == config.optimizer.ema
    decaying = [
        variable.name
        for variable in trainer.vae.trainable_variables
        if trainer.optimizer.inner_optimizer._use_weight_decay(variable)
    ]
    assert "kernel" in decaying
    assert not {"bias", "gamma", "beta"} & set(decaying)


def test_settings_that_do_not_fit_together_name_both_numbers():
    with pytest.raises(ValueError, match=r"groups=8.*12"):
        build_trainer(RunConfig().replace(model__widths=(12, 20)), 1)
