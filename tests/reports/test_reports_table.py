"""The table: units, directions, the best of a row, and when there is none."""

import pytest

from keras_vae.reports.comparison import compare
from keras_vae.reports.runs import read_runs
from keras_vae.reports.table import GROUPS, as_markdown, as_text, duration, number

LOWER = {"mse", "lpips", "importance_nll", "nll", "frechet_reconstructions", "frechet_prior", "frechet_gmm"}
HIGHER = {"psnr", "ssim", "elbo", "knn_accuracy"}


def best_of(*paths):
    """Key of a row → indices of its best values."""
    comparison = compare(read_runs(paths))
    return {row.key: set(row.best) for rows in comparison.table.values() for row in rows if row.best}


def test_the_best_is_marked_in_the_right_direction(make_run):
    smaller = make_run("smaller")
    keys = [figure.key for figures in GROUPS.values() for figure in figures]
    larger = make_run("larger", metrics=dict.fromkeys(keys, 1000.0) | {"active_units": 1})
    assert best_of(smaller, larger) == {key: {0} for key in LOWER} | {key: {1} for key in HIGHER}


def test_values_that_read_the_same_share_the_mark(make_run):
    metrics = [{"mse": 0.0300001}, {"mse": 0.0300002}, {"mse": 0.04}]
    paths = [make_run(f"run{index}", metrics=changed) for index, changed in enumerate(metrics)]
    assert best_of(*paths) == {"mse": {0, 1}}


def test_a_missing_value_is_neither_shown_nor_the_best(make_run):
    missing = make_run("missing", metrics={"importance_nll": None, "knn_accuracy": None})
    others = [make_run(name, metrics={"importance_nll": value}) for name, value in (("a", -10.0), ("b", -20.0))]
    comparison = compare(read_runs([missing, *others]))
    row = next(row for row in comparison.table["Likelihood"] if row.key == "importance_nll")
    assert row.texts == ("–", "−10.00", "−20.00")
    assert row.best == {2}


def test_a_figure_that_no_run_has_is_left_out(make_run):
    comparison = compare(read_runs([make_run("a", metrics={"knn_accuracy": None})]))
    assert "knn_accuracy" not in {row.key for row in comparison.table["Latent space"]}


def test_fids_of_one_network_are_compared_and_those_of_two_are_not(make_run):
    def evaluated(name, value, digest):
        metrics = dict.fromkeys(("fid_reconstructions", "fid_prior", "fid_gmm"), value)
        return make_run(name, metrics=metrics, settings={"fid_weights_sha256": digest})

    first, second, other = evaluated("a", 2.0, "1" * 64), evaluated("b", 3.0, "1" * 64), evaluated("c", 1.0, "2" * 64)

    assert best_of(first, second) == {"fid_reconstructions": {0}, "fid_prior": {0}, "fid_gmm": {0}}
    assert best_of(first, other) == {}
    comparison = compare(read_runs([first, make_run("d")]))
    assert [row.texts for row in comparison.table["FID"]] == [("2.00", "–")] * 3
    assert "fid_weights_sha256" in comparison.notes[0]
    assert "FID" not in compare(read_runs([make_run("e")])).table


def test_a_single_run_has_no_best(make_run):
    assert best_of(make_run("a")) == {}


def test_runs_on_different_data_have_no_best_and_it_is_said(make_run):
    other = {"name": "letters", "sha256": {"train": "c" * 64, "test": "d" * 64}}
    paths = [make_run("a"), make_run("b", data=other, metrics={"mse": 0.01})]
    comparison = compare(read_runs(paths))
    assert best_of(*paths) == {}
    assert not comparison.has_same_data
    assert "different test images" in comparison.notes[0]


def test_data_without_a_digest_are_told_apart_by_name_and_counts(make_run):
    without = [make_run(name, data={"sha256": None}, metrics={"mse": mse}) for name, mse in (("a", 0.1), ("b", 0.2))]
    assert best_of(*without) == {"mse": {0}}
    other = make_run("c", data={"sha256": None, "counts": {"train": 1, "test": 2}})
    assert best_of(without[0], other) == {}


def test_figures_measured_in_different_ways_have_no_best(make_run):
    changed = {"importance_nll": -500.0, "mse": 0.01}
    paths = [make_run("a"), make_run("b", settings={"importance_samples": 8}, metrics=changed)]
    assert best_of(*paths) == {"mse": {1}}
    assert "importance_samples" in compare(read_runs(paths)).notes[0]


@pytest.mark.parametrize("change", [{"model__likelihood": "bernoulli"}, {"model__variational": False}])
def test_likelihoods_of_different_kinds_have_no_best(make_run, change):
    paths = [make_run("a"), make_run("b", metrics={"elbo": 500.0, "mse": 0.01}, **change)]
    assert best_of(*paths) == {"mse": {1}}
    assert "different kinds" in compare(read_runs(paths)).notes[0]


def test_settings_that_differ_are_found_and_no_others(make_run):
    paths = [make_run("a", objective__beta=2.0), make_run("b", model__latent_dim=4)]
    found = {difference.name: difference.values for difference in compare(read_runs(paths)).differences}
    assert found == {"objective.beta": (2.0, 1.0), "model.latent_dim": (2, 4)}


def test_the_markdown_table_marks_the_best_and_holds_any_name(make_run):
    paths = [make_run("a|b<script>"), make_run("plain", metrics={"mse": 0.01})]
    comparison = compare(read_runs(paths))
    lines = as_markdown(comparison.table, comparison.names).splitlines()
    assert lines[0] == r"| | a\|b&lt;script&gt; | plain |"
    assert "| MSE ↓ | 0.03500 | **0.01000** |" in lines
    assert {line.replace(r"\|", "").count("|") for line in lines} == {4}


def test_the_table_on_a_terminal_is_aligned(make_run):
    comparison = compare(read_runs([make_run("a"), make_run("b", metrics={"mse": 0.01})]))
    lines = as_text(comparison.table, comparison.names).splitlines()
    mse, psnr = (next(line for line in lines if line.strip().startswith(name)) for name in ("MSE", "PSNR"))
    assert mse.endswith("0.01000 *")
    assert mse.index("0.03500") + len("0.03500") == psnr.index("15.25") + len("15.25")


def test_numbers_and_durations_read_well():
    assert number(-1234.5, 1) == "−1,234.5"
    assert [duration(seconds) for seconds in (4.21, 41.4, 2282, 7500)] == ["4.2 s", "41 s", "38 min 2 s", "2 h 5 min"]
