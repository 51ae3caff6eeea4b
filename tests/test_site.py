"""The built site in a browser: every link leads somewhere, every figure loads.

`make docs-test` builds the site and runs this. Without a site, Chromium or selenium it
is skipped; with SKAE_SITE=required that is an error. Screenshots of the main pages are
left in build/screenshots, to be looked at.
"""

import json
import os
import shutil
import threading
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urldefrag, urlsplit
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "docs"
SCREENSHOTS = ROOT / "build" / "screenshots"
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

DRIVER = shutil.which("chromedriver")
NETWORK = {"http", "https", "ws", "wss", "ftp"}


def what_is_missing():
    """Say what has to be there before these tests can run, or None."""
    if not (SITE / "index.html").exists():
        return "There is no built site: run make docs."
    if find_spec("selenium") is None:
        return "selenium is missing: pip install '.[docs]'."
    if CHROMIUM is None or DRIVER is None:
        return "Chromium or its driver is missing (Debian: chromium, chromium-driver)."
    return None


MISSING = what_is_missing()
pytestmark = [
    pytest.mark.skipif(
        MISSING is not None and os.environ.get("SKAE_SITE") != "required",
        reason=str(MISSING),
    ),
    pytest.mark.timeout(900),
]


# The site, the browser, and what it saw


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site():
    """Serve the site, return its address."""
    assert MISSING is None, MISSING
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "hide-scrollbars",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ]:
        options.add_argument(f"--{flag}")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = Chrome(options=options, service=Service(executable_path=DRIVER))
    yield driver
    driver.quit()


@dataclass
class Page:
    """What the browser saw of one page."""

    links: list
    ids: set
    images: dict  # address -> width in pixels, 0 if it did not load
    errors: list  # in the console
    requests: list


LOOK = """
const done = arguments[0];
const images = [...document.images];
for (const image of images) image.loading = "eager";
Promise.all(images.map(image => image.decode().catch(() => null))).then(() => done({
    links: [...document.links].map(link => link.href),
    ids: [...document.querySelectorAll("[id]")].map(element => element.id),
    images: images.map(image => [image.currentSrc || image.src, image.naturalWidth]),
}));
"""


def look(browser, address):
    """Open a page and return it."""
    browser.get(address)
    seen = browser.execute_async_script(LOOK)
    messages = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    ]
    return Page(
        links=seen["links"],
        ids=set(seen["ids"]),
        images=dict(seen["images"]),
        errors=[
            entry["message"]
            for entry in browser.get_log("browser")
            if entry["level"] == "SEVERE"
        ],
        requests=[
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ],
    )


@dataclass
class Crawl:
    """All pages that can be reached from the first, and the links that broke."""

    pages: dict
    broken: list
    n_files: int


@pytest.fixture(scope="module")
def crawl(site, browser):
    """Follow every internal link from the first page on."""
    start = site + "index.html"
    pages, broken, files, to_see = {}, [], set(), [start]
    while to_see:
        address = to_see.pop()
        if address in pages or address in files:
            continue
        try:
            with urlopen(address) as answer:
                is_page = answer.headers.get_content_type() == "text/html"
        except HTTPError as error:
            broken.append((address, str(error)))
            files.add(address)
            continue
        if not is_page:
            files.add(address)
            continue
        pages[address] = look(browser, address)
        links = {urldefrag(link).url for link in pages[address].links}
        to_see += sorted(link for link in links if link.startswith(site))
    return Crawl(pages, broken, len(files))


# What has to hold


def test_every_link_leads_somewhere(crawl):
    sources = {
        target: [
            page
            for page, seen in crawl.pages.items()
            if target in {urldefrag(link).url for link in seen.links}
        ]
        for target, _ in crawl.broken
    }
    assert not crawl.broken, sources


def test_every_anchor_exists(crawl):
    missing = []
    for address, page in crawl.pages.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            there = crawl.pages.get(target)
            if anchor and there and unquote(anchor) not in there.ids:
                missing.append((address, link))
    assert not missing


def test_links_to_elsewhere_are_encrypted(crawl, site):
    links = {link for page in crawl.pages.values() for link in page.links}
    outside = {link for link in links if not link.startswith(site)}
    assert {urlsplit(link).scheme for link in outside} <= {"https"}


def test_every_page_can_be_reached(crawl, site):
    built = {path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html")}
    linked = {address.removeprefix(site) for address in crawl.pages}
    not_linked = {path for path in built - linked if not path.startswith("_static/")}
    assert not_linked == {"search.html"}


def test_all_figures_load(crawl):
    failed = [
        (address, image)
        for address, page in crawl.pages.items()
        for image, width in page.images.items()
        if width == 0
    ]
    assert not failed


def test_every_method_of_the_estimator_is_documented(crawl, site):
    from skae import AutoencoderTransformer

    page = crawl.pages[f"{site}generated/skae.AutoencoderTransformer.html"]
    public = {name for name in dir(AutoencoderTransformer) if not name.startswith("_")}
    documented = {
        name for name in public if f"skae.AutoencoderTransformer.{name}" in page.ids
    }
    assert public == documented


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_example_is_in_the_gallery_with_its_figure(crawl, site, example):
    name = f"sphx_glr_{example.stem}_"
    for page, image in [(example.stem, f"{name}001"), ("index", f"{name}thumb")]:
        images = crawl.pages[f"{site}auto_examples/{page}.html"].images
        widths = [width for address, width in images.items() if image in address]
        assert len(widths) == 1
        assert widths[0] > 0


def test_the_console_has_no_errors(crawl):
    errors = [
        (address, error)
        for address, page in crawl.pages.items()
        for error in page.errors
    ]
    assert not errors


def test_nothing_is_fetched_from_outside(crawl, site):
    requests = {request for page in crawl.pages.values() for request in page.requests}
    assert any(request.endswith(".css") for request in requests)
    # The browser asks itself for chrome: and data: addresses.
    fetched = {request for request in requests if urlsplit(request).scheme in NETWORK}
    assert not {request for request in fetched if not request.startswith(site)}


def test_search_finds_a_method(browser, site):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(site + "search.html?q=inverse_transform")
    found = (By.CSS_SELECTOR, "#search-results li a")
    WebDriverWait(browser, 20).until(lambda page: page.find_elements(*found))
    links = [link.get_attribute("href") for link in browser.find_elements(*found)]
    assert any("AutoencoderTransformer" in link for link in links), links


# Screenshots

MAIN_PAGES = {
    "index": "index.html",
    "start": "start.html",
    "user_guide": "user_guide.html",
    "gallery": "auto_examples/index.html",
    "example": "auto_examples/plot_compress_digits.html",
    "coming_from": "coming_from/pca.html",
    "api": "api.html",
    "estimator": "generated/skae.AutoencoderTransformer.html",
    "benchmark": "benchmarks/quality.html",
    "conformity": "conformity.html",
    "changelog": "changelog.html",
}
LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (420, "light")}


def set_width(browser, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False},
    )


# What is wider than its place, and is not in a box with a scroll bar.
CUT_OFF = """
for (const sign of document.querySelectorAll(".headerlink")) sign.remove();  // hidden
const scrolls = element => element.tagName !== "ARTICLE" &&
    (["auto", "scroll"].includes(getComputedStyle(element).overflowX)
     || scrolls(element.parentElement));
return [...document.querySelectorAll("article *")]
    .filter(element => element.clientWidth > 0
        && element.scrollWidth > element.clientWidth + 1
        && getComputedStyle(element).display !== "inline"
        && !scrolls(element))
    .map(element => element.outerHTML.slice(0, 200));
"""


@pytest.mark.parametrize("width", [1280, 420])
def test_no_page_is_wider_than_its_window(browser, crawl, site, width):
    set_width(browser, width)
    cut_off = {}
    for address in crawl.pages:
        if not address.startswith(site + "_modules/"):
            browser.get(address)
            cut_off[address] = browser.execute_script(CUT_OFF)
    assert not {address: elements for address, elements in cut_off.items() if elements}


@pytest.mark.parametrize("look_like", LOOKS)
@pytest.mark.parametrize("name", MAIN_PAGES)
def test_main_page_has_the_theme_that_is_asked_for(browser, site, name, look_like):
    width, theme = LOOKS[look_like]
    set_width(browser, width)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {
            "features": [
                {"name": "prefers-color-scheme", "value": theme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]
        },
    )
    look(browser, site + MAIN_PAGES[name])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(SCREENSHOTS / f"{name}_{look_like}.png"))
    shown = browser.execute_script("return document.documentElement.dataset.theme")
    assert shown == theme
