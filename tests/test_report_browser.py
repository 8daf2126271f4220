"""The report in a browser: it opens, filters, and sends no request."""

import io
import json
import shutil

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from mbnet_jax.report.page import render

webdriver = pytest.importorskip("selenium.webdriver")
Keys = webdriver.Keys
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="needs Chromium or Chrome, and its chromedriver, on the path",
)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tested):
    return (tested[1] / "eval" / "report.html").resolve().as_uri()


def choose(browser, field, value):
    browser.execute_script(
        "const field = document.forms.filters.elements[arguments[0]];"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event('change', {bubbles: true}));",
        field,
        value,
    )


def shown(browser):
    """The visible lists: (kinds, rule, embedding, verdict) of each."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.list')]"
        ".filter((list) => list.checkVisibility())"
        ".map(({dataset: d, parentElement: p}) =>"
        " [p.dataset.kinds, d.rule, d.embedding, d.verdict])"
    )


def count(browser):
    return browser.find_element("id", "count").text


def requests(browser):
    """The addresses requested since the last call; not those the policy blocked."""
    events = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    ]
    blocked = {
        event["params"]["requestId"]
        for event in events
        if event["params"].get("blockedReason") == "csp"
    }
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
        and event["params"]["requestId"] not in blocked
    ]


def test_it_filters_and_sends_no_request(browser, address):
    browser.get(address)
    first = shown(browser)
    assert first and {tuple(of[1:3]) for of in first} == {("clothes_changing", "all")}
    total = len(first)
    assert count(browser) == f"{total} of {total} queries shown"
    choose(browser, "rule", "general")
    choose(browser, "embedding", "global")
    of_global = shown(browser)
    assert {tuple(of[1:3]) for of in of_global} == {("general", "global")}
    seen = 0
    for verdict in ("right", "wrong", "no match"):
        choose(browser, "verdict", verdict)
        fitting = shown(browser)
        assert all(of[3] == verdict for of in fitting)
        assert count(browser).startswith(f"{len(fitting)} of {total} queries shown")
        seen += len(fitting)
    assert seen == total
    choose(browser, "verdict", "")
    choose(browser, "kind", "worst")
    worst = shown(browser)
    assert 0 < len(worst) < total and all("worst" in of[0] for of in worst)
    assert [r for r in requests(browser) if not r.startswith(("file:", "data:"))] == []
    assert browser.get_log("browser") == []


def test_the_address_keeps_the_filters(browser, address):
    browser.get(
        f"{address}#rule=same_clothes&embedding=mask&kind=best&verdict=nonsense"
    )
    browser.refresh()
    lists = shown(browser)
    assert lists and all(of[1:3] == ["same_clothes", "mask"] for of in lists)
    assert all("best" in of[0] for of in lists)
    choose(browser, "kind", "")
    assert "kind=&" in browser.current_url + "&"
    browser.execute_script("location.hash = 'rule=general&embedding=all'")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert {tuple(of[1:3]) for of in shown(browser)} == {("general", "all")}
    assert browser.get_log("browser") == []


def test_every_picture_is_drawn_and_fits_a_phone_screen(browser, address):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True},
    )
    browser.get(address)
    width = "return document.documentElement.scrollWidth"
    assert browser.execute_script(width) == 400
    drawn = browser.execute_script(
        "document.querySelectorAll('details').forEach((d) => d.open = true);"
        "return [...document.querySelectorAll('use[href^=\"#image-\"]')]"
        ".filter((u) => u.checkVisibility())"
        ".map((u) => u.getBoundingClientRect().height)"
    )
    assert len(drawn) > 20 and min(drawn) > 0
    assert browser.execute_script(width) == 400
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # The pixels are drawn, not only empty boxes.
    for query in browser.find_elements("css selector", ".ranked .query svg"):
        if query.is_displayed():
            seen = Image.open(io.BytesIO(query.screenshot_as_png)).convert("L")
            assert np.asarray(seen)[8:-8, 8:-8].std() > 5


def test_markup_that_was_not_escaped_could_do_nothing(browser, tmp_path):
    attack = (
        "<base href='https://example.com/'><script>document.title = 'run'</script>"
        "<img src='x' onerror=\"document.title = 'run'\">"
        "<p id='styled' style='position: fixed'>x</p><style>p { color: red }</style>"
        "<form action='https://example.com/'><button id='send'>x</button></form>"
        "<iframe srcdoc='<script>parent.document.title = 1</script>'></iframe>"
        "<link rel='stylesheet' href='https://example.com/x.css'>"
    )
    page = render(
        "search.html",
        title="Search results",
        gallery="photos",
        what="0 photographs",
        scenes=False,
        described=Markup(attack),
        queries=[],
        most=None,
        failed_queries=[],
        failed=[],
        most_failures=10,
    )
    (tmp_path / "page.html").write_text(page)
    address = (tmp_path / "page.html").as_uri()
    browser.get(address)
    browser.find_element("id", "send").click()
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert (browser.title, browser.current_url) == ("Search results", address)
    styled = "getComputedStyle(document.getElementById('styled'))"
    position, colour = browser.execute_script(
        f"return [{styled}.position, {styled}.color]"
    )
    assert position == "static" and colour != "rgb(255, 0, 0)"
    allowed = ("file:", "data:", "about:")
    assert [r for r in requests(browser) if not r.startswith(allowed)] == []
    blocked = "".join(entry["message"] for entry in browser.get_log("browser"))
    for rule in ("script-src", "style-src", "form-action", "base-uri", "img-src"):
        assert rule in blocked


def test_without_scripts_the_first_lists_are_visible(browser, address):
    disabled = "Emulation.setScriptExecutionDisabled"
    browser.execute_cdp_cmd(disabled, {"value": True})
    browser.get(address)
    lists = browser.find_elements("css selector", ".list")
    seen = [one for one in lists if one.is_displayed()]
    assert 0 < len(seen) < len(lists)
    assert {one.get_attribute("data-rule") for one in seen} == {"clothes_changing"}
    assert not browser.find_element("id", "filters").is_displayed()
    browser.execute_cdp_cmd(disabled, {"value": False})


def test_fields_have_labels_and_work_by_keyboard(browser, address):
    browser.get(address)
    fields = browser.find_elements("css selector", "#filters select")
    assert [field.accessible_name for field in fields] == [
        "Rule",
        "Branch (embedding)",
        "At rank 1",
        "Queries",
    ]
    before = shown(browser)
    fields[0].send_keys("g")  # selects the option that starts with it
    assert fields[0].get_attribute("value") == "general"
    assert {of[1] for of in shown(browser)} == {"general"} != {of[1] for of in before}


def marks(browser):
    """Place, colour and whether it is shown faintly, of each mark of the map."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.mark')].map((m) =>"
        " [m.getAttribute('transform'), m.getAttribute('fill'),"
        " m.classList.contains('other')])"
    )


def set_field(browser, name, value):
    browser.execute_script(
        "const field = document.forms['map-fields'].elements[arguments[0]];"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event('change', {bubbles: true}));",
        name,
        value,
    )


def test_the_map_shows_pictures_by_keyboard_and_changes_colours_and_axes(
    browser, address
):
    browser.get(address)
    plane = browser.find_element("id", "map-plane")
    picture, text = (
        browser.find_element("id", f"map-{k}") for k in ("picture", "text")
    )
    assert not picture.is_displayed()
    plane.send_keys(Keys.ARROW_RIGHT)
    first = text.text
    assert ".jpg" in first and "person" in first and picture.is_displayed()
    seen = Image.open(io.BytesIO(picture.screenshot_as_png)).convert("L")
    assert np.asarray(seen)[2:-2, 2:-2].std() > 5
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_DOWN):
        plane.send_keys(key)
    assert text.text != first
    before = marks(browser)
    set_field(browser, "by", "1")
    coloured = marks(browser)
    assert [m[0] for m in coloured] == [m[0] for m in before]
    cameras = browser.find_elements("css selector", ".legend:not([hidden]) li")
    assert len({m[1] for m in coloured}) == len(cameras)
    set_field(browser, "axes", "1")
    assert [m[0] for m in marks(browser)] != [m[0] for m in before]
    set_field(browser, "person", "0")
    faint = [m[2] for m in marks(browser)]
    assert 0 < sum(faint) < len(faint)
    plane.send_keys(Keys.ESCAPE)
    assert not picture.is_displayed()
    assert browser.get_log("browser") == []
