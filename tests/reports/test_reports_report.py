"""What a comparison's folder holds: pictures, figures, and the report that needs nothing else."""

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from made_up_runs import GIFS, STILLS, shaded, write_run
from PIL import Image

from keras_vae.errors import InputError
from keras_vae.reports.comparison import compare
from keras_vae.reports.folder import FILES
from keras_vae.reports.report import write_comparison
from keras_vae.reports.runs import read_runs
from keras_vae.training.command_line import training_command
from keras_vae.visualize import write_gif, write_png
from keras_vae_cli.compare import command
from keras_vae_cli.train import command as train


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def report(make_run, tmp_path):
    """``report(*paths)``: write their comparison; returns its folder."""

    def write(*paths):
        write_comparison(tmp_path / "comparison", read_runs(paths))
        return tmp_path / "comparison"

    return write


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The comparison of the runs a, with the smaller MSE, and b; its folder, which no test changes."""
    folder = tmp_path_factory.mktemp("pair")
    paths = [write_run(folder / "runs", "a", metrics={"mse": 0.01}), write_run(folder / "runs", "b")]
    write_comparison(folder / "comparison", read_runs(paths))
    return folder / "comparison"


def page_of(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def frames_of(path):
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            yield np.asarray(image.convert("RGB")), image.info["duration"]


def test_the_folder_holds_everything_that_the_runs_have(pair):
    assert {path.name for path in pair.iterdir()} == {*FILES} - {"samples_gmm.png"}


def test_the_report_loads_nothing_from_anywhere(pair):
    text = (pair / "report.html").read_text()
    assert not re.search(r"(src|href|srcset|action|data)\s*=\s*[\"']?\s*(https?:)?//", text)
    assert not re.search(r"https?://|url\(|@import|<script|<link|<iframe", text)
    page = Page(text)
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert "default-src 'none'" in page.all("meta")[-1]["content"]


def test_every_image_has_a_text_and_a_size(pair):
    images = page_of(pair).all("img")
    assert len(images) == 2 + 2 * (len(STILLS) + len(GIFS))
    assert all(image["alt"] and int(image["width"]) and int(image["height"]) for image in images)


def test_the_data_uris_are_the_runs_pictures(pair):
    images = page_of(pair).all("img")
    held = [base64.b64decode(image["src"].partition(",")[2], validate=True) for image in images]
    for file in (*(f"{name}.png" for name in STILLS), *(f"{name}.gif" for name in GIFS)):
        assert (pair.parent / "runs" / "a" / "plots" / file).read_bytes() in held
    for image, data in zip(images, held, strict=True):
        with Image.open(BytesIO(data)) as picture:
            assert picture.size == (int(image["width"]), int(image["height"]))


def test_names_and_settings_are_escaped(make_run, report):
    name = "<script>alert(1)<&\"'"
    path = make_run(name, preset="<img src=x>")
    page = page_of(report(path, make_run("b")))
    assert not page.all("script")
    assert name in page.text
    assert "<img src=x>" in page.text
    assert all(image["src"].startswith("data:") for image in page.all("img"))


def test_the_best_values_are_marked_in_the_report(pair):
    text = (pair / "report.html").read_text()
    assert re.findall(r'<td class="best">([^<]*)<', text) == ["0.01000"]


def test_the_figures_for_programs_are_those_of_the_evaluation(pair):
    values = json.loads((pair / "comparison.json").read_text())
    for run in values["runs"]:
        evaluation = json.loads((pair.parent / "runs" / run["name"] / "evaluation.json").read_text())
        assert run["metrics"] == evaluation["metrics"]
    assert values["best"] == {"mse": ["a"]}
    assert [run["epochs"] for run in values["runs"]] == [3, 3]


def test_the_same_runs_give_the_same_pictures_and_report(pair, tmp_path):
    write_comparison(tmp_path / "again", read_runs([pair.parent / "runs" / name for name in "ab"]))
    for file in pair.iterdir():
        again = (tmp_path / "again" / file.name).read_bytes()
        assert again.replace(bytes(tmp_path / "again"), bytes(pair)) == file.read_bytes()


def test_a_gif_has_the_frames_of_the_longest_run_and_holds_its_last(make_run, report):
    folder = report(make_run("a", epochs=2), make_run("b", epochs=4))
    frames, durations = zip(*frames_of(folder / f"{GIFS[0]}.gif"), strict=True)
    assert len(frames) == 4
    assert durations == (500, 500, 500, 2000)
    left, right = ([int(frame[-5, column, 0]) for frame in frames] for column in (5, -5))
    assert left == [50, 100, 100, 100]
    assert right == [50, 100, 150, 200]


def test_gifs_of_three_runs_are_scaled_to_fit_beside_one_another(make_run, report):
    paths = [make_run(name, epochs=1) for name in "abc"]
    for path in paths:
        write_gif(path / "plots" / f"{GIFS[0]}.gif", [shaded(9, height=300, width=900), shaded(8, 300, 900)])
    with Image.open(report(*paths) / f"{GIFS[0]}.gif") as image:
        assert 1500 < image.width <= 1600
        assert image.height < 300


def test_many_runs_stand_in_rows(make_run, report):
    folder = report(*(make_run(name, epochs=1) for name in "abcd"))
    with Image.open(folder / "samples.png") as image:
        assert image.width == 2 * 90 + 16
        assert image.height > 2 * 60


def test_a_run_without_a_picture_is_left_out_of_it_and_named(make_run, report):
    old, new = make_run("old"), make_run("new")
    (old / "plots" / "samples.png").unlink()
    (old / "plots" / f"{GIFS[0]}.gif").unlink()
    folder = report(old, new)
    with Image.open(folder / "samples.png") as image:
        assert image.width == 90
    notes = " ".join(json.loads((folder / "comparison.json").read_text())["notes"])
    assert "samples.png" in notes
    assert "old" in notes
    assert "has no such picture" in page_of(folder).text


def test_runs_without_any_picture_have_a_report(make_run, report):
    path = make_run("a")
    for picture in (path / "plots").iterdir():
        picture.unlink()
    assert {file.name for file in report(path).iterdir()} == {
        "comparison.json", "comparison.md", "report.html", "test_curves.png", "train_curves.png"
    }  # fmt: skip


@pytest.mark.parametrize("file", ["samples.png", f"{GIFS[1]}.gif"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"no picture", lambda data: data[: len(data) // 2]])
def test_a_damaged_picture_is_named_and_the_old_comparison_stays(make_run, report, tmp_path, file, damage):
    path, old = make_run("a", epochs=1), tmp_path / "comparison" / "comparison.json"
    old.parent.mkdir()
    old.write_text("old")
    (path / "plots" / file).write_bytes(damage((path / "plots" / file).read_bytes()))
    with pytest.raises(InputError, match=file):
        report(path)
    assert old.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["comparison", "runs"]


def test_an_absurdly_large_picture_is_refused(make_run, report):
    path = make_run("a")
    Image.new("1", (10_000, 6_000)).save(path / "plots" / "samples.png")
    with pytest.raises(InputError, match=r"10,000 × 6,000 pixels is too large"):
        report(path)


def test_the_command_to_train_again_gives_the_same_settings(make_run):
    changes = {"model__latent_dim": 4, "objective__adaptive_weight": True, "discriminator__widths": (8, 16)}
    (run,) = read_runs([make_run("a", data__dataset="sample", seed=3, **changes)])
    words = training_command(run.path, run.config).split()
    assert words[:2] == ["keras-vae", "train"]
    given = train.make_context("train", words[2:]).params
    assert (given["data__dataset"], given["seed"], given["epochs"]) == ("sample", 3, 3)
    assert {key: given[key] for key in changes} == changes


def test_the_command_to_train_again_cuts_the_same_squares(make_run):
    changes = {"data__dataset": "folder:photos", "data__crop": 64, "data__crop_scale": 1.5}
    (run,) = read_runs([make_run("a", **changes)])
    given = train.make_context("train", training_command(run.path, run.config).split()[2:]).params
    assert {key: given[key] for key in changes} == changes


def test_settings_that_no_option_reaches_are_repeated_from_the_file(make_run):
    (run,) = read_runs([make_run("a", model__num_classes=10)])
    assert f"--config {run.path / 'config.json'}" in training_command(run.path, run.config)


def test_the_command_prints_the_figures_and_where_the_report_is(make_run, tmp_path, monkeypatch):
    paths = [make_run("a"), make_run("b", metrics={"mse": 0.01})]
    written = compare(read_runs(paths))
    monkeypatch.setattr("keras_vae.reports.report.write_comparison", lambda folder, runs: written)
    arguments = [*map(str, paths), "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "0.01000 *" in done.stdout
    assert str(tmp_path / "out" / "report.html") in done.stdout
    done = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(done.stdout) == written.as_dict() | {"differences": {}}


def test_a_run_that_was_not_measured_is_evaluated_first(make_run, tmp_path, monkeypatch):
    path, evaluated = make_run("a", is_evaluated=False), []
    report = json.loads((make_run("b") / "evaluation.json").read_text())

    def evaluate_run(run):  # in a run that cannot be written, it returns what it measured all the same
        evaluated.append(run)
        return report

    monkeypatch.setattr("keras_vae_cli.evaluate.evaluate_run", evaluate_run, raising=False)
    CliRunner().invoke(command, [str(path), "--to", str(tmp_path / "out")], catch_exceptions=False)
    assert evaluated == [path]
    (run,) = json.loads((tmp_path / "out" / "comparison.json").read_text())["runs"]
    assert run["metrics"] == report["metrics"]


def test_comparing_runs_that_are_measured_loads_neither_keras_nor_tensorflow(make_run, tmp_path):
    program = (
        "import sys; from keras_vae_cli.compare import command; "
        f"command([{str(make_run('a'))!r}, '--to', {str(tmp_path / 'out')!r}], standalone_mode=False); "
        "print(sorted({'keras', 'tensorflow', 'matplotlib.pyplot'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_pictures_of_any_size_and_mode_are_read(make_run, report):
    path = make_run("a")
    Image.new("RGBA", (40, 30), (255, 0, 0, 0)).save(path / "plots" / "samples.png")
    write_png(path / "plots" / "latent_manifold.png", shaded(7, height=10, width=2500))
    with Image.open(report(path) / "samples.png") as image:
        assert (np.asarray(image)[-30:] == 255).all()
