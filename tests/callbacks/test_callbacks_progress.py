"""The bar on terminals of several widths, and the lines that replace it elsewhere."""

import io
import os
import re
import signal
import types

import pytest
from terminals import terminal

from keras_vae.callbacks import Progress, StopSignals
from keras_vae.callbacks.progress import bar_line

PARTS = {
    "nll": -1234.5,
    "kl": 23.456,
    "lpips": 0.12345,
    "adversarial": -0.4321,
    "discriminator": 1.8765,
    "mse": 0.0123456,
}


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    return clock


def make_progress(file, epochs=10, steps=40, parts=PARTS):
    progress = Progress(batch_size=100, file=file)
    progress.set_params({"steps": steps, "epochs": epochs})
    # Keras's own logs of a step need not have every part.
    progress.set_model(types.SimpleNamespace(means_so_far=lambda: parts))
    return progress


def run_steps(progress, clock, steps, seconds):
    for batch in steps:
        clock.now += seconds
        progress.on_train_batch_end(batch, {"loss": 1.0})


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_bar_has_cells_percentage_and_time_left_at_every_width(width, clock):
    with terminal(width) as (file, look):
        progress = make_progress(file)
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(20), 0.5)
        screen = look()

    assert len(screen.lines) == 1
    found = re.fullmatch(r"epoch 1/10 \|(█+)(.?)( +)\|  50%(.*) · 3:10 left", screen.lines[-1])
    assert found, screen.lines[-1]
    cells = len(found[1] + found[2] + found[3])
    assert cells >= (7 if width == 40 else 10)
    assert len(found[1]) == cells // 2


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (40, []),
        (60, ["kl"]),
        (80, ["kl", "mse", "nll"]),
        (120, ["nll", "kl", "lpips", "mse", "200 img/s"]),
        (200, ["nll", "kl", "lpips", "adversarial", "discriminator", "mse", "200 img/s"]),
    ],
)
def test_a_wider_bar_shows_more_parts(width, shown, clock):
    with terminal(width) as (file, look):
        progress = make_progress(file)
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(20), 0.5)
        line = look().lines[-1]

    assert {name for name in (*PARTS, "200 img/s") if f" {name} " in f"{line} "} == set(shown)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_before_the_first_step_the_bar_says_that_it_is_compiled(width, clock):
    with terminal(width) as (file, look):
        make_progress(file).on_epoch_begin(0)
        (line,) = look().lines
    assert re.fullmatch(r"epoch 1/10 \| +\|   0% · compiling the step", line)


def test_the_call_that_compiles_does_not_count_for_the_time_left(clock):
    with terminal(80) as (file, look):
        progress = make_progress(file, epochs=1)
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(1), 20.0)
        run_steps(progress, clock, range(1, 20), 1.0)
        line = look().lines[-1]
    assert line.endswith(" · 0:20 left")


def test_the_time_left_counts_what_an_epoch_has_besides_its_steps(clock):
    with terminal(80) as (file, look):
        progress = make_progress(file, epochs=2)
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(40), 1.0)
        clock.now += 100.0  # evaluation, pictures, a checkpoint
        progress.on_epoch_end(0, {})
        progress.on_epoch_begin(1)
        run_steps(progress, clock, range(10), 1.0)
        line = look().lines[-1]
    assert line.endswith(" · 2:10 left")


def test_the_bar_says_when_the_epoch_is_evaluated_and_makes_way_for_its_line(clock):
    with terminal(80) as (file, look):
        progress = make_progress(file)
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(40), 0.5)
        progress.on_epoch_end(0, {"nll": 90.0, "val_mse": 0.0625})
        screen = look()
    assert "100% · evaluating · " in screen.seen[-2]
    assert screen.lines == ["epoch 1/10 · train nll 90 · test mse 0.0625 · 20 s", ""]


def test_the_parts_are_read_ten_times_a_second_at_most(clock):
    asked = []
    with terminal(80) as (file, _):
        progress = make_progress(file, steps=1001)
        progress.set_model(types.SimpleNamespace(means_so_far=lambda: asked.append(1) or PARTS))
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(1000), 0.001)
    assert len(asked) <= 11


def test_the_line_of_ctrl_c_replaces_the_bar(clock, monkeypatch):
    with terminal(80) as (file, look):
        monkeypatch.setattr("keras_vae.callbacks.stopping._STDERR", file.fileno())
        progress = make_progress(file)
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(10), 0.5)
        file.write("^C")  # as the terminal shows it
        file.flush()
        with StopSignals():
            os.kill(os.getpid(), signal.SIGINT)
        run_steps(progress, clock, range(10, 11), 0.5)
        progress.clear()
        print("keras-vae: stopped after step 11 of epoch 1", file=file)
        screen = look()
    assert screen.lines == [
        "stopping after this step, with a checkpoint; once more stops at once",
        "keras-vae: stopped after step 11 of epoch 1",
        "",
    ]


def test_a_bar_is_never_wider_than_its_terminal():
    for width in range(40, 140):
        line = bar_line(
            "epoch 100/100", 0.999, PARTS and {"kl": "kl 12.34", "nll": "nll -1234"}, "10:00:00 left", width
        )
        assert len(line) <= width


def test_an_epoch_of_unknown_length_has_no_bar(clock):
    with terminal(80) as (file, look):
        progress = make_progress(file, steps=None)
        progress.on_epoch_begin(0)
        run_steps(progress, clock, range(3), 0.5)
        progress.on_epoch_end(0, {"nll": 90.0, "val_mse": 0.0625})
        screen = look()
    assert screen.seen == ["epoch 1/10 · train nll 90 · test mse 0.0625 · 2 s"]


def test_off_a_terminal_progress_is_one_plain_line_an_epoch_with_its_test_metrics(clock):
    file = io.StringIO()
    progress = make_progress(file, epochs=2)
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        run_steps(progress, clock, range(40), 0.5)
        logs = {"nll": 90.0, "kl": 3.0, "val_mse": 0.0625, "val_psnr": 12.3456, "val_elbo": -93.0}
        progress.on_epoch_end(epoch, logs)
    progress.on_train_end()

    first, second = file.getvalue().splitlines()
    assert first == "epoch 1/2 · train nll 90 kl 3 · test mse 0.0625 psnr 12.35 elbo -93 · 20 s"
    assert second.startswith("epoch 2/2 · ")


def test_progress_goes_to_standard_output(capsys):
    progress = Progress(batch_size=4)
    progress.set_params({"steps": 1, "epochs": 1})
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, {"nll": 1.0})
    assert capsys.readouterr().out.startswith("epoch 1/1 · train nll 1 · test ")
