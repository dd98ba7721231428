"""What an experiment does, in which order, and what it leaves alone; training itself is stood in for."""

import json
import shutil
import signal

import pytest

from keras_vae.config import RunConfig
from keras_vae.errors import InputError, TrainingStoppedError
from keras_vae.training import RunDirectory
from keras_vae_cli import experiment


@pytest.fixture
def done(monkeypatch):
    """What was asked for, in order; runs that "train" leave the files by which they are known."""
    calls = []

    def finish(run):
        run.model.write_text("")
        run.write_summary({"epochs": 1, "finished": True})

    def start_run(config, path, *, batch_size_is_given):
        calls.append(("train", path.name, config.model.latent_dim, config.data.dataset, batch_size_is_given))
        # What "auto" meant.
        finish(RunDirectory.create(path, config.replace(data__dataset="sample")))

    def resume_run(path):
        calls.append(("resume", path.name))
        finish(RunDirectory(path))

    def evaluate_run(path):
        calls.append(("evaluate", path.name))
        RunDirectory(path).write_evaluation({})

    monkeypatch.setattr(experiment, "start_run", start_run)
    monkeypatch.setattr(experiment, "resume_run", resume_run)
    monkeypatch.setattr(experiment, "evaluate_run", evaluate_run)

    def export_run(path, to, *, name):
        calls.append(("export", path.name, name))
        (to / name / "1").mkdir(parents=True)

    monkeypatch.setattr(experiment, "export_run", export_run)
    monkeypatch.setattr(experiment, "compare_runs", lambda runs, to, **_: calls.append(("compare", len(runs), to.name)))
    return calls


def run_experiment(*arguments):
    experiment.command.main([str(argument) for argument in arguments], standalone_mode=False)


def test_each_size_is_trained_evaluated_and_exported_and_all_are_compared(done, tmp_path):
    run_experiment("--latents", "2,4", "--epochs", 3, "--run-dir", tmp_path / "sizes")

    assert done == [
        ("train", "latent2", 2, "auto", False),
        ("evaluate", "latent2"),
        ("export", "latent2", "mnist-latent2"),
        # The data that "auto" meant for the first run.
        ("train", "latent4", 4, "sample", False),
        ("evaluate", "latent4"),
        ("export", "latent4", "mnist-latent4"),
        ("compare", 2, "comparison"),
    ]
    assert RunDirectory(tmp_path / "sizes" / "latent4").read_config().epochs == 3


def test_models_are_exported_unless_that_is_not_wanted(done, tmp_path):
    folder = tmp_path / "sizes"
    run_experiment("--latents", "2", "--run-dir", folder, "--no-export")
    assert [call[0] for call in done] == ["train", "evaluate", "compare"]
    assert not (folder / "exports").exists()
    run_experiment("--resume", "--run-dir", folder)
    assert done[3:] == [("export", "latent2", "mnist-latent2"), ("compare", 1, "comparison")]
    assert (folder / "exports" / "mnist-latent2" / "1").is_dir()


def test_three_sizes_are_compared_unless_others_are_named(done, tmp_path):
    run_experiment("--run-dir", tmp_path / "sizes")
    assert [call[1] for call in done if call[0] == "train"] == ["latent2", "latent4", "latent16"]


def test_resuming_does_what_is_left_and_nothing_again(done, tmp_path):
    folder = tmp_path / "sizes"
    run_experiment("--latents", "2,3,4,5", "--run-dir", folder)
    done.clear()
    runs = {latent: RunDirectory(folder / f"latent{latent}") for latent in (2, 3, 4, 5)}
    runs[3].evaluation.unlink()
    for latent in (4, 5):
        runs[latent].evaluation.unlink()
        runs[latent].model.unlink()
        shutil.rmtree(folder / "exports" / f"mnist-latent{latent}")
    (runs[4].checkpoints / "epoch_0001_step_00000").mkdir()  # killed in its second epoch, the other in its first

    run_experiment("--resume", "--run-dir", folder)

    assert done == [
        ("evaluate", "latent3"),
        ("resume", "latent4"),
        ("evaluate", "latent4"),
        ("export", "latent4", "mnist-latent4"),
        ("resume", "latent5"),
        ("evaluate", "latent5"),
        ("export", "latent5", "mnist-latent5"),
        ("compare", 4, "comparison"),
    ]


def test_training_that_ended_early_says_how_to_go_on_with_the_experiment(done, monkeypatch, tmp_path):
    def stop(config, path, **options):
        RunDirectory.create(path).write_config(config, {})
        ended = TrainingStoppedError("stopped after epoch 1", signal.SIGTERM)
        ended.go_on = RunDirectory(path).go_on
        raise ended

    monkeypatch.setattr(experiment, "start_run", stop)
    folder = tmp_path / "sizes"

    with pytest.raises(TrainingStoppedError) as stopped:
        run_experiment("--latents", "2", "--run-dir", folder)

    go_on = f"go on with: keras-vae experiment --resume --run-dir {folder}"
    assert str(stopped.value) == f"stopped after epoch 1; {go_on}"
    assert (folder / "latent2").is_dir()


def test_an_experiment_is_not_overwritten_unless_asked(done, tmp_path):
    folder = tmp_path / "sizes"
    run_experiment("--latents", "2", "--run-dir", folder)
    with pytest.raises(InputError, match="there is an experiment already"):
        run_experiment("--latents", "2", "--run-dir", folder)
    done.clear()

    run_experiment("--latents", "3", "--run-dir", folder, "--overwrite")

    assert done[0] == ("train", "latent3", 3, "auto", False)
    assert sorted(path.name for path in folder.iterdir()) == ["experiment.json", "exports", "latent3"]
    assert [path.name for path in tmp_path.iterdir()] == ["sizes"]


def test_what_cannot_start_leaves_the_experiment_that_was_there(done, monkeypatch, tmp_path):
    folder = tmp_path / "sizes"
    run_experiment("--latents", "2", "--run-dir", folder)
    before = json.loads((folder / "experiment.json").read_text())

    def refuse(*arguments, **options):
        raise InputError("mnits: no such data set")

    monkeypatch.setattr(experiment, "start_run", refuse)
    for name in ("sizes", "other"):
        with pytest.raises(InputError, match="mnits"):
            run_experiment("--latents", "3", "--dataset", "mnits", "--run-dir", tmp_path / name, "--overwrite")

    assert json.loads((folder / "experiment.json").read_text()) == before
    assert RunDirectory(folder / "latent2").model.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["sizes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--latents", "2,2"), "latents must differ"),
        (("--latents", "0"), "latent-dim must be at least 1, got 0"),
        (("--latent", "2"), "an experiment has --latents in place of --latent"),
        (("--resume",), "--resume needs --run-dir"),
        (("--resume", "--overwrite"), "exclude each other"),
        (("--resume", "--run-dir", "nowhere"), "not an experiment"),
        (("--resume", "--run-dir", "nowhere", "--epochs", "3"), "takes no other settings"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(arguments, message, done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        run_experiment(*arguments)
    assert not done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"latents": [2]}', '{"latents": 2, "config": {}}'])
def test_a_damaged_description_is_refused(text, done, tmp_path):
    (tmp_path / "experiment.json").write_text(text)
    with pytest.raises(InputError, match=r"experiment\.json: is not the description"):
        run_experiment("--resume", "--run-dir", tmp_path)


def test_a_folder_that_is_no_experiment_is_not_taken(done, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not an experiment"):
        run_experiment("--latents", "2", "--run-dir", tmp_path, "--overwrite")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_the_description_holds_what_every_run_shares(done, tmp_path):
    run_experiment("--latents", "2,4", "--beta", "0.5", "--run-dir", tmp_path / "sizes")
    written = json.loads((tmp_path / "sizes" / "experiment.json").read_text())
    assert written["latents"] == [2, 4]
    assert RunConfig.from_dict(written["config"]).objective.beta == 0.5
