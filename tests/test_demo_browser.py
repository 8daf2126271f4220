"""The demo's page in a browser: it searches, shows why, refuses, and stays local."""

import json
import os
import shutil
from pathlib import Path

import jax
import pytest
from photos import make_folder, write_photo
from untrained import untrained, whole_network

from mbnet_jax.demo.app import make_app
from mbnet_jax.demo.explainer import Explainer
from mbnet_jax.demo.finder import Finder
from mbnet_jax.demo.serve import served
from mbnet_jax.devices.mesh import make_mesh

pytest.importorskip("gradio", reason="needs requirements-demo.txt")
webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.usefixtures("one_block"),
    pytest.mark.skipif(
        not (BROWSER and DRIVER),
        reason="needs Chromium or Chrome, and its chromedriver, on the path",
    ),
]
NAME = "${alert(1)} {{ 7 * 7 }} <img src=x onerror=alert(1)>.jpg"  # of a photograph


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("demo") / "photos")
    write_photo(folder / NAME, 20)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    config = whole_network("data")
    with config.unlocked():
        config.model.parser = True
    mesh = make_mesh(jax.devices()[:1])
    finder = Finder(untrained(config, mesh), mesh, folder.parent / "cache")
    explainer = Explainer(finder)
    assert explainer.warm_up(folder) == 8
    queries = [folder / "b.JPG", folder / NAME]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", "")
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "")
        with served(lambda: make_app(explainer, [folder], queries), port=0) as app:
            uploads = Path(os.environ["GRADIO_TEMP_DIR"])
            assert uploads.is_dir()
            yield app
        assert not uploads.exists()


@pytest.fixture(scope="module")
def opened(browser, page):
    browser.get(page.local_url)
    wait(browser, lambda: all_of(browser, "input[type=file]"))
    return browser


def wait(browser, condition):
    return WebDriverWait(browser, 60).until(lambda _: condition())


def all_of(browser, selector):
    return browser.find_elements("css selector", selector)


def test_a_dropped_photograph_is_searched_and_explained(opened, folder):
    [field] = all_of(opened, "input[type=file]")
    field.send_keys(str(folder / "a.jpg"))
    hits = wait(opened, lambda: all_of(opened, ".mb-hits button"))
    assert len(hits) == 8
    assert "the same file content as the query" in hits[0].text
    hits[2].click()
    looks = wait(opened, lambda: all_of(opened, ".mb-look"))
    assert [look.find_element("css selector", "h4").text[:4] for look in looks] == [
        "glob",
        "clot",
        "mask",
    ]
    assert "rank 3" in opened.find_element("css selector", ".mb h3").text
    assert hits[2].get_attribute("aria-pressed") == "true"


def test_names_stay_text(opened):
    [first, second] = all_of(opened, ".mb-examples button")
    second.click()
    wait(opened, lambda: NAME in opened.find_element("css selector", ".mb-query").text)
    shown = opened.find_element("css selector", ".mb-hits").text
    assert NAME in shown  # as it is, neither run nor filled in
    assert not all_of(opened, "img[src=x]")
    first.click()
    wait(
        opened, lambda: "b.JPG" in opened.find_element("css selector", ".mb-query").text
    )


def test_what_cannot_be_read_is_refused_on_the_page(opened, folder):
    bad = folder.parent / "bad.jpg"
    bad.write_bytes(b"no image")
    [field] = all_of(opened, "input[type=file]")
    field.send_keys(str(bad))
    refused = wait(opened, lambda: all_of(opened, ".mb-refusal"))
    assert "bad.jpg" in refused[0].text and "/" not in refused[0].text
    assert not all_of(opened, ".mb-hits")


def test_it_asks_nobody_but_this_machine(opened, page):
    events = (
        json.loads(e["message"])["message"] for e in opened.get_log("performance")
    )
    addresses = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert page.local_url.startswith("http://127.0.0.1:")
    assert any(page.local_url in address for address in addresses)
    local = (page.local_url, "data:", "blob:")
    assert [a for a in addresses if not a.startswith(local)] == []
