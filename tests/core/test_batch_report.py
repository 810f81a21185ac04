"""The report's file: what it tells, what it hides, and how large it gets. What a browser makes of it: the next file."""

import base64
import hashlib
import html
import re
from html.parser import HTMLParser

import pytest

from geodetect.batch.record import Record
from geodetect.batch.report import pictures
from geodetect.batch.report.page import duration, write_report
from geodetect.errors import OutputError
from geodetect.progress import Caution

VOID = {"meta", "link", "img", "input", "br"}
LICENCE = "Research and other non-commercial use, with attribution"
ABOUT = {
    "title": "harbours",
    "model": "planes-ships-yolov3-tiny",
    "model_version": "0.2",
    "licence": LICENCE,
    "attribution": "those who made the data",
    "palette": {"plane": "#e6194b", "ship": "#4363d8"},
    "settings": {"score": 0.5, "overlap": "25 %"},
    "geodetect": "1.2.3",
    "begun": "2024-06-14T06:21:09+00:00",
    "seconds": 7200.0,
    "engine": "openvino on CPU",
}
JPEG = b"\xff\xd8\xff\xe0" + bytes(1000)


def square(longitude: float, latitude: float, side: float = 0.1) -> str:
    x, y = longitude, latitude
    return f"POLYGON(({x} {y}, {x + side} {y}, {x + side} {y + side}, {x} {y + side}, {x} {y}))"


def done(number: int, ships: int = 3, **other) -> Record:
    place = {"footprint": square(4 + number / 10, 51)} | other
    return Record(f"/data/s{number}.tif", f"s{number}.gpkg", "done", "", 1, 60.0, 40, {"ship": ships}, **place)


SIGNED = "https://h/x.tif?sig=SECRET key"
FAILED = Record(SIGNED, "x.gpkg", "failed", f"{SIGNED} is cut off; see http://me:SECRET@h/log?token=SECRET.", 3, 2.0)


class Page(HTMLParser):
    """Elements with their attributes, and text; fails where what is opened is not closed."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.said = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.said += data

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(tmp_path, records, about=ABOUT, quicklooks=None) -> Page:
    write_report(tmp_path / "report.html", records, about, quicklooks)
    return Page((tmp_path / "report.html").read_text("utf-8"))


def plain(text: str) -> str:
    return " ".join(text.split())


def test_it_tells_what_became_of_the_batch(tmp_path):
    records = [done(1), done(2, ships=1200), FAILED, Record("/data/w.tif", "w.gpkg")]
    said = plain(page(tmp_path, records).said)
    figures = ("2 of 4", "1,203", "2 h 00 min", "1.5", "Not on the map: 2 scenes not opened")
    about = ("harbours", "openvino on CPU", "1.2.3", "0.2", LICENCE, "25 %", "those who made the data")
    for words in (*figures, *about, "x.tif is cut off"):
        assert words in said
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_failures_come_first_then_the_scenes_with_most(tmp_path):
    records = [Record("/w.tif", "w.gpkg"), done(1), done(2, ships=9), FAILED]
    ids = [row["id"] for row in page(tmp_path, records).of("tr") if "id" in row]
    assert ids == ["s3", "s2", "s1", "s0"]


def test_scenes_outside_and_notes_are_told_apart(tmp_path):
    outside = Record("/data/o.tif", "o.gpkg", "outside", "the area 0,0,1,1 does not meet the scene o.tif", 1)
    noted = [done(n, notes=("bands 1, 2, 3", Caution("too <coarse>?key=1"))[: n + 1]) for n in range(2)]
    read = page(tmp_path, [*noted, outside, *[done(n) for n in range(2, 5)]])
    said = plain(read.said)
    assert "5 of 6" in said
    assert "failed0 outside the area1 left0" in said
    assert "Not on the map: 1 scene outside the area." in said
    assert said.index("s1.tif too <coarse>") < said.index("2 scenes bands 1, 2, 3")
    assert said.count("too <coarse>") == 2  # among the notes, and at its scene
    assert said.count("bands 1, 2, 3") == 1  # among the notes only
    assert [row["data-state"] for row in read.of("tr") if "id" in row] == ["done"] * 5 + ["outside"]
    assert "Notes" not in page(tmp_path, [done(1)]).said


def test_no_key_is_in_the_page(tmp_path):
    records = [FAILED, Record("/vsicurl?header.x=SECRET&url=x", "v.gpkg"), Record("s3://u:SECRET@b/a.tif", "a.gpkg")]
    page(tmp_path, records, ABOUT | {"settings": {"area": "https://h/a.gpkg?SECRET"}})
    assert b"SECRET" not in (tmp_path / "report.html").read_bytes()


@pytest.mark.parametrize("about", [{}, {"palette": None, "settings": None, "seconds": None}, ABOUT])
@pytest.mark.parametrize("records", [[], [done(1)], [FAILED] * 3, [Record("a", "a.gpkg")] * 2], ids=len)
def test_anything_may_be_missing(tmp_path, about, records):
    assert "scenes done" in page(tmp_path, records, about).said


def test_nothing_is_fetched_and_only_what_is_meant_can_run(tmp_path):
    (tmp_path / "s1.jpg").write_bytes(JPEG)
    read = page(tmp_path, [done(1)], quicklooks=tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    (policy,) = (meta["content"] for meta in read.of("meta") if meta.get("http-equiv"))
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"
    for _, attributes in read.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith(("#", "./", "data:,"))
    assert "@import" not in text
    assert "url(" not in text


@pytest.mark.parametrize(
    ("output", "href"),
    [
        ("a b#1?.gpkg", "./a%20b%231%3F.gpkg"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("\udce9.gpkg", "./%E9.gpkg"),
        ("../../etc/passwd", None),
        ("/etc/passwd", None),
        ("..", None),
        ("", None),
    ],
)
def test_links_lead_to_files_beside_the_report(tmp_path, output, href):
    read = page(tmp_path, [Record("/data/scene.tif", output, "done")])
    links = [link["href"] for link in read.of("a") if link["href"][0] != "#"]
    assert links == ([href] if href else [])


def test_a_colour_can_only_be_a_colour(tmp_path):
    page(tmp_path, [done(1)], ABOUT | {"palette": {"ship": "red}</style><script>alert(1)</script>", "plane": 3}})
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "alert(1)" not in text
    assert re.search(r"\.c0\{--c:#[0-9a-f]{6}\}", text)


def test_names_that_are_no_text_are_told_apart(tmp_path):
    record = Record("/data/\udce9\x00\x1b.tif", "a.gpkg", "failed", "bad \ud800")
    assert "\\udce9��.tif" in page(tmp_path, [record]).said


def test_pictures_are_those_with_most_objects_and_the_rest_is_counted(tmp_path, monkeypatch):
    looks = tmp_path / "looks"
    looks.mkdir()
    records = [done(number, ships=number) for number in range(30)]
    for number in range(25):
        (looks / f"s{number}.jpg").write_bytes(JPEG)
    (looks / "s24.jpg").write_bytes(b"<svg onload=alert(1)>")  # no JPEG
    monkeypatch.setattr(pictures, "PICTURES", 20)
    read = page(tmp_path, records, quicklooks=looks)
    shown = [image["alt"].split()[0] for image in read.of("img") if "src" in image]
    assert shown == [f"s{number}.tif" for number in range(23, 3, -1)]
    assert "The 20 with most objects are shown, 5 are left out." in plain(read.said)
    assert len(read.of("details")) == 1
    monkeypatch.setattr(pictures, "BYTES", 5 * len(JPEG))
    assert len([image for image in page(tmp_path, records, quicklooks=looks).of("img") if "src" in image]) == 5


def test_a_picture_is_of_its_own_scene_only(tmp_path):
    (tmp_path / "looks").mkdir()
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    record = Record("/data/a.tif", "../secret.gpkg", "done")
    assert not [i for i in page(tmp_path, [record], quicklooks=tmp_path / "looks").of("img") if "src" in i]


def test_places_far_apart_get_maps_of_their_own(tmp_path):
    far = [(4, 51), (4.1, 51), (103.8, 1.2), (-118, 33.7), (179.95, -18), (-179.9, -18)]
    read = page(tmp_path, [done(i, footprint=square(*place)) for i, place in enumerate(far)])
    assert len([svg for svg in read.of("svg") if svg.get("class") == "map"]) == 5
    assert {"map-A", "map-B", "map-C", "map-D"} == {figure["id"] for figure in read.of("figure") if "id" in figure}
    assert "180°" in read.said
    near = page(tmp_path, [done(i, footprint=square(4 + i / 10, 51)) for i in range(6)])
    assert len([svg for svg in near.of("svg") if svg.get("class") == "map"]) == 1


def test_settings_are_told_as_they_are_given(tmp_path):
    settings = {"score": {"plane": 0.5, "ship": 0.65}, "bands": (4, 3, 2), "average": False, "gsd": None}
    said = plain(page(tmp_path, [done(1)], {"settings": settings}).said)
    assert "scoreplane=0.5, ship=0.65 bands4, 3, 2 averageoff" in said
    assert "gsd" not in said


def test_one_class_too_many_for_columns_is_still_told(tmp_path):
    record = Record("/data/a.tif", "a.gpkg", "done", counts={f"kind-{i}": 10 - i for i in range(9)})
    said = plain(page(tmp_path, [record]).said)
    assert "10 kind-0 9 kind-1 8 kind-2 + 27 of others" in said
    assert "kind-8" in said


def test_ten_thousand_scenes_stay_under_thirty_megabytes(tmp_path):
    reason = "{} cannot be read at column 5120, row 2048: it is damaged or cut off; copy it again from its source"
    records = [
        done(i, footprint=square(-170 + i % 340, -60 + i // 340 * 4, 0.01))
        if i % 10
        else Record(f"s3://some-bucket/2024/scene_{i:05d}.tif", f"{i}.gpkg", "failed", reason.format(f"{i}.tif"), 3)
        for i in range(10_000)
    ]
    write_report(tmp_path / "report.html", records, ABOUT)
    assert (tmp_path / "report.html").stat().st_size + pictures.BYTES * 4 / 3 < 30e6


def test_what_cannot_be_written_is_one_error(tmp_path):
    with pytest.raises(OutputError, match=r"report\.html could not be written"):
        write_report(tmp_path / "no" / "report.html", [done(1)], ABOUT)


def test_text_is_escaped_everywhere(tmp_path):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    record = Record(f"/data/{evil}", "a.gpkg", "failed", evil, counts={evil: 1}, ended=evil)
    about = dict.fromkeys(ABOUT, evil) | {"palette": {evil: evil}, "settings": {evil: evil}, "seconds": 1}
    read = page(tmp_path, [record, done(1)], about)
    assert len(read.of("script")) == 1
    assert [image.get("src") for image in read.of("img")] == [None]  # the dialog's
    assert read.said.count("<script>alert(1)</script>") >= 8
    assert html.escape(evil) in (tmp_path / "report.html").read_text("utf-8").replace("&#34;", "&quot;").replace(
        "&#39;", "&#x27;"
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.21, "0.2 s"), (74, "74 s"), (119, "2 min"), (3599, "1 h 00 min"), (11_893, "3 h 18 min"), (9e6, "2,500 h")],
)
def test_spans_of_time(seconds, told):
    assert duration(seconds) == told
