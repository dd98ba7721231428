"""The explorer's pages in the site: links where LiteRT.js is installed, and a line where it is not."""

import importlib.util
import logging

import pytest
from documents import ROOT


@pytest.fixture
def hook(monkeypatch, tmp_path):
    """The hook, in the build of a site without LiteRT.js."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = importlib.util.spec_from_file_location("live_pages", ROOT / "docs" / "guide" / "live_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.on_startup(command="build", dirty=False)
    return module


def test_the_guide_has_the_mark(hook):
    assert hook.MARK in (ROOT / "docs" / "guide" / "explore.md").read_text(encoding="utf-8")


def test_without_the_runtime_a_line_says_so_and_the_site_is_built(hook, tmp_path, caplog):
    assert "has no live pages" in hook.on_page_markdown(f"before\n{hook.MARK}\nafter")
    with caplog.at_level(logging.INFO):
        hook.on_post_build({"site_dir": str(tmp_path)})
    assert "npm install" in caplog.text
    assert not (tmp_path / "explore").exists()


def test_with_the_runtime_there_is_a_link_and_a_page_for_each_model(hook, tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(hook, "installed_runtime", lambda: tmp_path)
    monkeypatch.setattr(
        hook.subprocess, "run", lambda command, **_: runs.append(command) or type("Done", (), {"returncode": 0})
    )

    found = hook.on_page_markdown(hook.MARK)
    hook.on_post_build({"site_dir": str(tmp_path)})

    for name, command in zip(hook.MODELS, runs, strict=True):
        assert f'href="../../explore/{name}.html"' in found
        assert str(tmp_path / "explore" / f"{name}.html") in command
        assert (ROOT / "saved_models" / name).is_dir()


def test_a_site_that_is_served_while_one_writes_does_not_wait_for_the_pages(hook, monkeypatch, tmp_path):
    monkeypatch.setattr(hook, "installed_runtime", lambda: tmp_path)
    hook.on_startup(command="serve", dirty=False)
    hook.on_post_build({"site_dir": str(tmp_path)})
    assert not (tmp_path / "explore").exists()
