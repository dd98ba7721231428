"""A browser without a network, and pages of real models."""

import shutil

import pytest
from browsing import started_page

from keras_vae.explorer.runtime import installed_runtime


@pytest.fixture(scope="session")
def runtime_folder():
    """The ``node_modules`` with LiteRT.js."""
    folder = installed_runtime()
    if folder is None:
        pytest.skip("LiteRT.js is not installed; keras-vae explore RUN --out FILE.html installs it where npm is")
    return folder


@pytest.fixture(scope="session")
def chromium():
    """The path of the installed Chromium."""
    pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed")
    return path


@pytest.fixture(scope="module")
def browser(chromium):
    """Chromium, running. It ends with each file of tests, since its event loop would disturb others."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers lack.
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """``open_page(address, **context)``: a page that has started; afterwards no error may be in its console."""
    contexts, problems = [], []

    def open_one(address, **options):
        contexts.append(browser.new_context(offline=address.startswith("file:"), **options))
        return started_page(contexts[-1], address, problems)

    yield open_one
    for context in contexts:
        context.close()
    assert problems == []
