"""The page's text: complete, under a strict policy, and deaf to markup in names."""

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from made_up_explorations import make_exploration

from keras_vae.explorer import Runtime, offline_page, served_page

RUNTIME = Runtime("2.5.3", dict.fromkeys(("core.js", "utils.js", "wasm.js", "wasm"), b"runtime"))
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Elements(HTMLParser):
    """Every element with its attributes and its text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.found, self.is_open = [], False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])
        self.is_open = True

    def handle_endtag(self, tag):
        self.is_open = False

    def handle_data(self, data):
        if self.is_open:
            self.found[-1][2] += data

    def named(self, tag, **attributes):
        return [
            (found, text) for name, found, text in self.found if name == tag and attributes.items() <= found.items()
        ]


def offline(**options):
    return offline_page(make_exploration(**options), b"encoder", b"decoder", RUNTIME)


def rules_of(policy):
    return dict(rule.split(" ", 1) for rule in policy.split("; "))


@pytest.mark.parametrize("page", [offline(), served_page(make_exploration())], ids=["offline", "served"])
def test_the_policy_allows_the_page_s_own_script_and_style_alone(page):
    elements = Elements(page.html)

    ((meta, _),) = elements.named("meta", **{"http-equiv": "Content-Security-Policy"})
    assert meta["content"] == page.policy
    rules = rules_of(page.policy)
    run = [text for attributes, text in elements.named("script") if "type" not in attributes]
    ((_, style),) = elements.named("style")
    for rule, (text,) in (("script-src", run), ("style-src", [style])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[rule].split()
    assert rules["default-src"] == "'none'"
    for rule in ("base-uri", "form-action"):
        assert rules[rule] == "'none'"
    assert "unsafe-inline" not in page.policy
    assert "'unsafe-eval'" not in page.policy
    assert "http" not in page.policy


def test_a_page_without_a_server_may_ask_nothing_of_the_network_and_a_served_one_its_server_alone():
    assert "connect-src" not in rules_of(offline().policy)
    assert rules_of(served_page(make_exploration()).policy)["connect-src"] == "'self'"


@pytest.mark.parametrize("page", [offline(), served_page(make_exploration())], ids=["offline", "served"])
def test_nothing_in_the_page_is_loaded_from_elsewhere_or_runs_by_an_attribute(page):
    for tag, attributes, _ in Elements(page.html).found:
        assert "src" not in attributes
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        assert tag != "link" or attributes["href"].startswith("data:")


def test_the_page_holds_every_array_and_file():
    exploration = make_exploration(draws=np.ones((3, 2), np.float32))
    elements = Elements(offline_page(exploration, b"encoder", b"decoder", RUNTIME).html)
    ((_, text),) = elements.named("script", id="facts")

    facts = json.loads(text)

    packed = {
        attributes["data-name"]: gzip.decompress(base64.b64decode(text))
        for attributes, text in elements.named("script", type="text/packed")
    }
    for name, array in {"images": exploration.images, "means": exploration.means, "draws": exploration.draws}.items():
        found = np.frombuffer(packed[name], facts["arrays"][name]["type"]).reshape(facts["arrays"][name]["shape"])
        np.testing.assert_array_equal(found, array)
    assert (packed["encoder"], packed["decoder"], packed["wasm"]) == (b"encoder", b"decoder", b"runtime")


def test_names_from_strangers_are_text_wherever_they_stand():
    page = offline(name=EVIL, data=EVIL, label_names=(EVIL, "b", "c"), classes=(EVIL, "b", "c"))
    elements = Elements(page.html)

    plain = Elements(offline(classes=("a", "b", "c")).html)
    assert [tag for tag, _, _ in elements.found] == [tag for tag, _, _ in plain.found]
    ((_, text),) = elements.named("script", id="facts")
    facts = json.loads(text)
    assert facts["name"] == facts["labelNames"][0] == facts["classes"][0] == EVIL
    ((_, heading),) = elements.named("h1")
    assert heading.strip() == EVIL


def test_a_name_that_is_no_text_is_shown_with_a_mark_in_its_place():
    page = offline(name="caf\udce9", label_names=("\udc80", "b", "c"))
    ((_, heading),) = Elements(page.html).named("h1")
    assert heading.strip() == "caf?"
    assert page.html.encode()


def test_a_module_stands_after_those_that_it_imports():
    modules = Elements(offline().html).named("script", type="text/module-source")
    before = set()
    for attributes, source in modules:
        imported = re.findall(r'from "\./([^"]+)"', source)
        assert set(imported) <= before, attributes
        before.add(attributes["data-name"])
    assert attributes["data-name"] == "main.js"


def test_the_same_model_gives_the_same_page():
    assert offline().html == offline().html


def test_the_page_names_every_element_that_its_modules_look_for():
    elements = Elements(offline(latent_shape=(20,)).html)
    spatial = Elements(offline(latent_shape=(2, 2, 4), image_shape=(4, 4, 3)).html)
    found = [*elements.found, *spatial.found]
    names = {attributes["id"] for _, attributes, _ in found if "id" in attributes}
    for _, source in elements.named("script", type="text/module-source"):
        assert set(re.findall(r'(?:getElementById|\bat)\("([\w-]+)"\)', source)) <= names


@pytest.mark.parametrize(
    "options", [{}, {"latent_shape": (2, 2, 4), "image_shape": (4, 4, 3)}], ids=["vector", "spatial"]
)
def test_every_control_and_picture_has_a_name_for_screen_readers(options):
    elements = Elements(offline(**options).html)
    for tag in ("canvas", "section"):
        for attributes, _ in elements.named(tag):
            is_decoration = attributes.get("id") is None
            assert is_decoration or {"aria-label", "aria-labelledby"} & attributes.keys(), attributes
    identities = [attributes["id"] for _, attributes, _ in elements.found if "id" in attributes]
    assert len(identities) == len(set(identities))
    for _, attributes, _ in elements.found:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(attributes.get(name, "").split()) <= set(identities)


def test_building_a_page_loads_neither_keras_nor_tensorflow():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from made_up_explorations import make_exploration;"
        "from keras_vae.explorer import served_page; served_page(make_exploration());"
        "print(sorted({'keras', 'tensorflow'} & sys.modules.keys()))"
    )
    folder = str(__file__).rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
