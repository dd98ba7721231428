"""TensorBoard itself on a finished run, queried over HTTP as its pages query it."""

import io
import json
import time
import urllib.parse
import urllib.request

import pytest
from PIL import Image
from tensorboard import program

from keras_vae.callbacks.run_summaries import SHOWN_FIRST

RUN = "digits/tensorboard/test"


@pytest.fixture(scope="module")
def served(finished):
    """``ask(route, **query)``: the server's answer, once it has read the run."""
    server = program.TensorBoard()
    # The loader in Python, because the other one is a process that would outlive the test.
    server.configure(argv=["", "--logdir", str(finished.directory.path.parent), "--port", "0", "--load_fast", "false"])
    address = server.launch()

    def ask(route, **query):
        with urllib.request.urlopen(f"{address}data/{route}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
            return answer.read()

    deadline = time.monotonic() + 60
    while RUN not in json.loads(ask("runs")) or not json.loads(ask("plugin/images/tags")):
        assert time.monotonic() < deadline, "TensorBoard has not read the run"
        time.sleep(0.1)
    return ask


def test_scalars_of_both_sides_are_served(served, finished):
    tags = json.loads(served("plugin/scalars/tags"))
    assert {"objective/elbo", "objective/kl", "reconstruction/psnr"} <= tags[RUN].keys()
    assert {"objective/loss", "training_optimizer/learning_rate"} <= tags["digits/tensorboard/train"].keys()
    assert "nats" in tags[RUN]["objective/elbo"]["description"]

    points = json.loads(served("plugin/scalars/scalars", run=RUN, tag="reconstruction/mse"))

    rows = finished.directory.read_metrics()
    assert [step for _, step, _ in points] == [2, 4]
    assert [value for *_, value in points] == pytest.approx([row["test_mse"] for row in rows])


def test_images_are_served(served):
    listed = json.loads(served("plugin/images/images", run=RUN, tag="z/latent_plot", sample=0))
    assert [image["step"] for image in listed] == [2, 4]

    png = served(f"plugin/images/individualImage?{listed[-1]['query']}")

    with Image.open(io.BytesIO(png)) as picture:
        assert picture.width > 400


def test_the_projector_is_served_with_its_points_and_classes(served, dataset):
    (embedding,) = json.loads(served("plugin/projector/info", run=RUN))["embeddings"]
    assert embedding["tensorShape"] == [dataset.test.count, 3]
    assert embedding["sprite"]["singleImageDim"] == [12, 12]

    classes = served("plugin/projector/metadata", run=RUN, name=embedding["tensorName"]).decode()

    assert classes.splitlines()[1] == "zero\t0"


def test_the_hyperparameters_compare_the_run_by_its_test_metrics(served, finished):
    asked = {"startIndex": 0, "sliceSize": 10, "allowedStatuses": ["STATUS_SUCCESS"]}

    (group,) = json.loads(served("plugin/hparams/session_groups", request=json.dumps(asked)))["sessionGroups"]

    assert group["name"] == "digits"
    assert group["hparams"]["model.latent_dim"] == 2
    values = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
    assert values["reconstruction/mse"] == pytest.approx(finished.directory.read_metrics()[-1]["test_mse"])


def test_the_settings_that_matter_most_are_the_first_of_the_hyperparameters(served):
    experiment = json.loads(served("plugin/hparams/experiment", request="{}"))
    names = [info["name"] for info in experiment["hparamInfos"]]
    assert set(names[:5]) == set(SHOWN_FIRST)
    assert "discriminator.widths" in names
