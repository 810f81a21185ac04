"""The report in a real browser, without a window: Chromium, driven by Playwright."""

from __future__ import annotations

import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geodetect.batch.record import Record
from geodetect.batch.report import write_report
from geodetect.progress import Caution

EVIL = (
    "<script>window.sprung=1</script>",
    "\"><img src=x onerror='window.sprung=1'>",
    "'><svg/onload=window.sprung=1>",
    "javascript:window.sprung=1",
    "</style></script><iframe srcdoc='<script>parent.sprung=1</script>'>",
    "{{ 7 * 7 }}${7*7}",
    "<a href='javascript:window.sprung=1' id=s0>here</a>",
    "\u202egnp.exe & <b>bold</b>",
)
NOTES = "bands 1, 2, 3: by colour interpretation", Caution("its pixels of 40 m are too coarse, " * 3)
SIZES = [(1280, 900), (768, 900), (360, 740)]


@pytest.fixture(scope="module")
def browser():
    """Chromium, Playwright's own or the system's."""
    missing = pytest.fail if os.environ.get("CI") else pytest.skip
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install playwright")
    # as root Chromium has no sandbox, and it should ask nobody for updates
    options = ["--disable-background-networking", "--disable-component-update", "--disable-gpu"]
    options += ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        names = ("chromium", "chromium-browser", "google-chrome", "chrome")
        program = own if Path(own).exists() else next(filter(None, map(shutil.which, names)), None)
        if program is None:
            missing("no Chromium found: apt-get install chromium, or playwright install chromium")
        opened = playwright.chromium.launch(executable_path=program, args=options)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """Return a function that opens a report; whatever else it asks for or complains of fails the test."""
    contexts = []
    trouble: list[str] = []

    def open_page(path: Path, size=(1280, 900), **options):
        still = {"reduced_motion": "reduce", "viewport": {"width": size[0], "height": size[1]}}
        context = browser.new_context(**(still | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.on("request", lambda one: trouble.append(one.url) if not one.url.startswith(("file:", "data:")) else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def square(longitude: float, latitude: float) -> str:
    x, y = longitude, latitude
    return f"POLYGON(({x} {y}, {x + 0.1} {y}, {x + 0.1} {y + 0.1}, {x} {y + 0.1}, {x} {y}))"


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((480, 360)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Thirty scenes: 26 done, two failed, two waiting; pictures of 14."""
    folder = tmp_path_factory.mktemp("batch")
    records = [
        Record(f"/data/quay_{i}.tif", f"quay_{i}.gpkg", "done", "", 1, 10.0 * i, 40 + i, {"ship": i, "plane": 30 - i},
               square(4 + i % 6 / 9, 51 + i // 6 / 9), "2024-06-14T07:44:31Z", NOTES[: i % 3])
        for i in range(26)
    ]  # fmt: skip
    records += [Record(f"/data/bad_{i}.tif", f"bad_{i}.gpkg", "failed", "it is cut off; copy it again " * 6, 3, 2.0,
                       footprint=square(4.7, 51 + i)) for i in range(2)]  # fmt: skip
    records += [Record(f"/data/later_{i}.tif", f"later_{i}.gpkg") for i in range(2)]
    for i in range(14):
        (folder / f"quay_{i}.jpg").write_bytes(jpeg(i))
    about = {
        "title": "harbours", "model": "ships", "licence": "research only", "attribution": "x" * 200, "seconds": 4000,
        "settings": {"score": 0.5}, "palette": {"plane": "#e6194b", "ship": "#4363d8"},
    }  # fmt: skip
    write_report(folder / "report.html", records, about, folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A report all of whose texts try to be something else."""
    folder = tmp_path_factory.mktemp("hostile")
    records = []
    for number, evil in enumerate(EVIL):
        counts = {evil: number + 1, "ship": 1}
        place = square(number, 1)
        notes = evil, Caution(evil)
        records.append(
            Record(f"/data/{evil}/{evil}", evil.replace("/", ""), "done", "", 1, 1, 1, counts, place, evil, notes)
        )
        records.append(Record(evil, f"f{number}.gpkg", "failed", evil, footprint=place))
        records.append(Record(evil, f"u{number}.gpkg", evil, evil, footprint=evil))
        name = evil.replace("/", "")
        (folder / f"{Path(name).stem}.jpg").write_bytes(jpeg(number))
    joined = " ".join(EVIL)
    keys = ("title", "model", "model_version", "licence", "attribution", "geodetect", "begun", "engine")
    about = dict.fromkeys(keys, joined) | {
        "palette": dict.fromkeys(EVIL, "red;}</style><script>window.sprung=1</script>"),
        "settings": {evil: evil for evil in EVIL},
        "seconds": 1,
    }
    write_report(folder / "report.html", records, about, folder)
    return folder / "report.html"


@pytest.mark.parametrize("bypass", [False, True], ids=["with its policy", "by escaping alone"])
def test_no_text_becomes_anything_else(hostile, visit, bypass):
    page = visit(hostile, bypass_csp=bypass)
    page.locator("thead button").first.click()
    page.get_by_role("button", name="failed").first.click()
    page.get_by_role("button", name="all").first.click()
    page.locator(".pictures button").first.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    assert page.evaluate("window.sprung") is None
    assert page.evaluate("document.scripts.length") == 1
    assert page.locator("iframe, [onerror], [onload], b.bold, [srcdoc]").count() == 0
    said = page.locator("tbody").inner_text()
    for evil in EVIL:
        assert evil.rsplit("/", 1)[-1] in said
        assert evil in page.locator(".list").last.inner_text()
    assert " ".join(EVIL) in page.locator("h1").inner_text()
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.href.baseVal ?? a.getAttribute('href'))")
    assert links
    assert all(link.startswith(("#", "./")) for link in links)


def test_the_policy_stops_what_would_get_in(hostile, browser):
    page = browser.new_page()
    told: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("response", lambda answer: asked.append(answer.url))
    page.on("requestfailed", lambda one: asked.append(one.url + (one.failure or "")))
    page.goto(hostile.as_uri())
    page.evaluate(
        """() => {
        const script = document.createElement("script");
        script.textContent = "window.sprung = 1";
        const image = document.createElement("img");
        image.setAttribute("onerror", "window.sprung = 1");
        image.src = "http://127.0.0.1:9/x.png";
        document.body.append(script, image);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.sprung") is None
    assert any("script-src" in text for text in told)
    assert [url for url in asked if not url.startswith(("file:", "data:")) and not url.endswith("csp")] == []
    page.close()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]} px")
@pytest.mark.parametrize("name", ["report", "hostile"])
def test_nothing_is_wider_than_the_window(name, size, visit, request):
    page = visit(request.getfixturevalue(name), size)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    for text in page.locator("svg .labels text:visible").all()[:8]:
        assert text.bounding_box()["height"] >= 7  # px: still read


def test_light_and_dark_are_both_read(report, visit):
    def contrast(page, selector):
        colours = page.locator(selector).first.evaluate(
            """one => {
            let under = one;
            while (getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") under = under.parentElement;
            return [getComputedStyle(one).color, getComputedStyle(under).backgroundColor];
            }"""
        )
        channels = np.array([re.findall(r"[\d.]+", colour)[:3] for colour in colours], float) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        dark, light = np.sort(linear @ [0.2126, 0.7152, 0.0722])
        return (light + 0.05) / (dark + 0.05)

    papers = set()
    for scheme in ("light", "dark"):
        page = visit(report, color_scheme=scheme)
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        for selector in ("h1", ".meta", ".figures dt", ".figures .bad dd", ".note", "tbody a", ".reason", "thead th",
                         "td.state i", "td.ended", ".legend li", "footer", "summary", ".licence"):  # fmt: skip
            assert contrast(page, selector) >= 4.5, (scheme, selector)  # WCAG 2.1 AA
    assert len(papers) == 2


def names(page) -> list[str]:
    return page.locator("tbody tr:visible th .name").all_inner_texts()


def wait_for_rows(page, count: int) -> None:
    from playwright.sync_api import expect

    expect(page.locator("tbody tr:visible")).to_have_count(count)


def test_the_table_is_sorted_by_clicks_and_keys(report, visit):
    page = visit(report)
    assert names(page)[:2] == ["bad_0.tif", "bad_1.tif"]
    page.locator("thead").get_by_role("button", name="ship").click()
    assert names(page)[:2] == ["quay_25.tif", "quay_24.tif"]
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    assert names(page)[-1] == "quay_25.tif"
    page.locator("thead").get_by_role("button", name="Scene").focus()
    page.keyboard.press("Space")
    assert names(page)[:4] == ["bad_0.tif", "bad_1.tif", "later_0.tif", "later_1.tif"]
    assert names(page)[4:7] == ["quay_0.tif", "quay_1.tif", "quay_2.tif"]  # as people count
    page.locator("thead").get_by_role("button", name="Time").click()
    assert names(page)[0] == "quay_25.tif"  # 4 min is more than 90 s


def test_the_table_is_filtered_and_a_link_shows_what_was_hidden(report, visit):
    page = visit(report)
    page.get_by_role("searchbox").fill("QUAY 2")
    wait_for_rows(page, 8)  # 2, 12, 20 to 25
    assert page.locator("output").inner_text() == "8 of 30 scenes"
    page.get_by_role("button", name="failed").click()
    assert names(page) == []
    page.get_by_role("searchbox").fill("cut off")
    wait_for_rows(page, 2)
    page.locator(".pictures a").first.click()
    wait_for_rows(page, 30)
    assert page.evaluate("document.querySelector('tr:target').id") == page.url.split("#")[1]


def test_a_footprint_leads_to_its_row(report, visit):
    page = visit(report)
    assert page.locator(".marks a").count() == 28
    mark = page.locator(".marks a").last  # failures lie on top
    assert mark.locator("title").text_content() in ("bad_0.tif · failed", "bad_1.tif · failed")
    mark.click()
    row = page.locator("tr:target")
    assert "failed" in row.inner_text()
    assert 0 <= row.bounding_box()["y"] < 900


def test_pictures_are_enlarged_by_mouse_and_keys(report, visit):
    page = visit(report)
    pictures = page.locator(".pictures button:visible")
    assert pictures.count() == 12
    page.locator("summary").click()
    assert pictures.count() == 14
    pictures.first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    assert dialog.locator("img").evaluate("one => one.naturalWidth") == 480
    first = dialog.locator("p").inner_text()
    page.keyboard.press("ArrowRight")
    second = dialog.locator("p").inner_text()
    assert first != second
    dialog.get_by_role("button", name="Previous").click()
    assert dialog.locator("p").inner_text() == first
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.matches('.pictures button')")  # back where one was


def test_without_scripts_all_is_there_but_the_tools(report, visit):
    page = visit(report, java_script_enabled=False)
    assert len(names(page)) == 30
    assert page.locator(".controls").is_hidden()
    assert page.locator("svg.map").first.is_visible()
    assert page.locator(".pictures img:visible").count() == 12
    page.locator("summary").click()
    assert page.locator(".pictures img:visible").count() == 14


def test_on_paper_there_is_everything_but_the_tools(report, visit):
    page = visit(report, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".controls").is_hidden()
    assert page.locator("summary").is_hidden()
    assert len(names(page)) == 30
    assert page.pdf().startswith(b"%PDF")


def test_the_keyboard_reaches_all_tools_and_is_not_lost_on_the_map(report, visit):
    page = visit(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the table of scenes"
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("[document.activeElement.tagName, document.activeElement.closest('section')?.id]"))
    tags = [tag for tag, _ in reached]
    assert "a" not in tags  # SVG's links, in lower case
    assert "INPUT" in tags
    assert ["A", "scenes"] in reached
