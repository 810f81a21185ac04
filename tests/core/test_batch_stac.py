"""STAC items, collections and catalogues as the scenes of a batch."""

import json
from datetime import datetime, timezone

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listing import DATA, ENTRIES, asset, is_harmless, item, serving, write

from geodetect.batch.sources import find_scenes, remote, stac
from geodetect.errors import ConfigError, GeodetectError


@pytest.fixture
def served():
    with serving() as content:
        yield content


def catalogue(folder, items=5, kind=pystac.CatalogType.SELF_CONTAINED):
    """Write a catalogue with a collection, each item with a raster beside it, as pystac does."""
    top = pystac.Catalog("top", "All of it")
    extent = pystac.Extent(
        pystac.SpatialExtent([[0, 0, 1, 1]]), pystac.TemporalExtent([[datetime(2024, 1, 1, tzinfo=timezone.utc), None]])
    )
    collection = pystac.Collection("ships", "Ships", extent)
    top.add_child(collection)
    for number in range(items):
        made = pystac.Item(f"i{number}", None, None, datetime(2024, 5, 1, tzinfo=timezone.utc), {})
        made.add_asset("visual", pystac.Asset("./scene.tif", media_type=pystac.MediaType.COG, roles=["data"]))
        made.add_asset("thumbnail", pystac.Asset("./t.png", media_type="image/png", roles=["thumbnail"]))
        collection.add_item(made)
    top.normalize_and_save(str(folder), kind)
    return folder / "catalog.json"


@pytest.mark.parametrize("kind", [pystac.CatalogType.SELF_CONTAINED, pystac.CatalogType.ABSOLUTE_PUBLISHED])
def test_a_catalogue_of_pystac(tmp_path, kind):
    top = catalogue(tmp_path / "stac", kind=kind)
    expected = [str(tmp_path / f"stac/ships/i{number}/scene.tif") for number in range(5)]
    assert find_scenes([top]) == expected
    assert find_scenes([tmp_path / "stac/ships/collection.json"]) == expected
    assert find_scenes([tmp_path / "stac/ships/i3/i3.json"]) == [expected[3]]


def test_a_catalogue_on_a_server(tmp_path, served):
    catalogue(tmp_path)
    for path in tmp_path.rglob("*.json"):
        served[f"/{path.relative_to(tmp_path).as_posix()}"] = path.read_bytes()
    found = find_scenes([f"{served.url}/catalog.json"])
    assert found == [f"{served.url}/ships/i{number}/scene.tif" for number in range(5)]
    assert len(served.asked) == len(set(served.asked)) == 7


def test_pages_of_an_api_are_followed_and_end(served):
    def page(number, following):
        made = [item({"visual": asset(f"https://h/{number}-{n}.tif")}, f"{number}-{n}") for n in range(2)]
        links = [{"rel": "next", "href": following}, {"rel": "root", "href": "/"}]
        return json.dumps({"type": "FeatureCollection", "features": made, "links": links}).encode()

    served["/items.json?page=1"] = page(1, "items.json?page=2")
    served["/items.json?page=2"] = page(2, f"{served.url}/items.json?page=1")  # and round again
    found = find_scenes([f"{served.url}/items.json?page=1"])
    assert found == [f"https://h/{number}-{n}.tif" for number in (1, 2) for n in range(2)]
    links = [{"rel": "next", "href": "x", "method": "POST"}]
    served["/post.json"] = json.dumps({"type": "FeatureCollection", "features": [], "links": links}).encode()
    with pytest.raises(ConfigError, match="cannot be followed"):
        find_scenes([f"{served.url}/post.json"])


def test_the_addresses_of_a_stac_server_have_no_ending(served):
    one = item({"visual": asset("https://h/a.tif")})
    page = {"type": "FeatureCollection", "features": [one], "links": []}
    top = {"type": "Catalog", "stac_version": "1.0.0", "links": [{"rel": "items", "href": "s2/items"}]}
    served |= {path: json.dumps(page).encode() for path in ("/collections/s2/items", "/search?limit=1")}
    served["/collections/s2"] = json.dumps(top).encode()
    for path in served:
        assert find_scenes([f"{served.url}{path}"]) == ["https://h/a.tif"]
    assert find_scenes(["https://h/collections/a.tif"]) == ["https://h/collections/a.tif"]


def test_an_item_in_a_collection_knows_its_own_place(tmp_path):
    made = item({"visual": asset("./a.tif")}, links=[{"rel": "self", "href": "https://h/i/one.json"}])
    collection = {"type": "FeatureCollection", "features": [made, item({"visual": asset("b.tif")})]}
    path = write(tmp_path / "items.geojson", json.dumps(collection))
    assert find_scenes([path]) == ["https://h/i/a.tif", str(tmp_path / "b.tif")]


def test_too_many_documents_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(stac, "MOST_DOCUMENTS", 4)
    with pytest.raises(ConfigError, match="more than 4 documents"):
        find_scenes([catalogue(tmp_path)])


BANDS = [{"name": "red"}, {"name": "green"}, {"name": "blue"}]


@pytest.mark.parametrize(
    ("assets", "chosen"),
    [
        ({"B04": asset("4.tif", DATA), "Visual": asset("v.tif", DATA)}, "v.tif"),
        ({"B04": asset("4.tif", DATA), "rgb": asset("v.tif")}, "v.tif"),
        ({"image": asset("i.tif", DATA), "thumbnail": asset("t.png", ["thumbnail"], "image/png")}, "i.tif"),
        ({"image": asset("i.tif", DATA), "meta": asset("m.xml", DATA, "application/xml")}, "i.tif"),
        ({"B04": asset("4.tif", DATA), "rgb": asset("v.tif", DATA, **{"eo:bands": BANDS})}, "v.tif"),
        ({"image": {"href": "i.tif"}}, "i.tif"),
        ({"image": asset("i.tif", DATA), "small": asset("o.tif", ["overview"])}, "i.tif"),
        ({"small": asset("o.tif", ["overview"])}, "o.tif"),
        ({"image": asset("i.jp2", DATA, "image/jp2")}, "i.jp2"),
    ],
)
def test_the_asset_that_a_person_would_take(tmp_path, assets, chosen):
    path = write(tmp_path / "item.json", json.dumps(item(assets)))
    assert find_scenes([path]) == [str(tmp_path / chosen)]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (item({"B04": asset("4.tif", DATA), "B03": asset("3.tif", DATA)}), r"one has several images \(B04, B03\)"),
        (item({"meta": asset("m.xml", DATA, "application/xml")}), r"no image among its assets \(meta\)"),
        (item({}), "no image among its assets"),
        (item({"visual": {}}), "no valid STAC item"),
        (item({"visual": asset(7)}), "no valid STAC item"),
        ({"type": "FeatureCollection", "features": []}, "has no items"),
        (
            {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": None, "properties": {}}]},
            "item 1",
        ),
        ({"type": "Feature"}, "no STAC document"),
        ({"type": "Catalog", "stac_version": {}}, "no STAC document"),
        ([1], "no STAC document"),
    ],
)
def test_what_is_no_stac_or_leaves_the_choice_open(tmp_path, document, words):
    with pytest.raises(ConfigError, match=words):
        find_scenes([write(tmp_path / "item.json", json.dumps(document))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 5_000_000, "nested too deeply"),
        ('{"a":' * 200_000 + "1" + "}" * 200_000, "nested too deeply"),
        ('{"type":"Feature","properties":' + '{"a":' * 300 + "1" + "}" * 301, "nested too deeply"),
        ('{"id": ' + "9" * 5000 + "}", "no JSON document|no STAC document"),
        ("", "no JSON document"),
        ("nonsense", "no JSON document"),
    ],
    ids=["arrays", "objects", "deep", "number", "empty", "words"],
)
def test_a_json_bomb_is_one_sentence(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words) as error:
        find_scenes([write(tmp_path / "item.json", text)])
    assert len(str(error.value)) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | ENTRIES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "type",
    "stac_version",
    "id",
    "properties",
    "assets",
    "links",
    "features",
    "stac_extensions",
    "geometry",
    "bbox",
)


@st.composite
def stac_like(draw):
    """An item, collection or page with any values in its fields."""
    kinds = ("Feature", "FeatureCollection", "Catalog", "Collection")
    document = item({"visual": asset(draw(ENTRIES))}) | {"type": draw(st.sampled_from(kinds))}
    if draw(st.booleans()):
        document["links"] = draw(
            st.lists(st.fixed_dictionaries({"rel": st.sampled_from(["item", "child"]), "href": ENTRIES}))
        )
    if document["type"] == "FeatureCollection":
        document["features"] = [
            item({"visual": draw(JSON)}) | draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2))
        ]
    return document | draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2))


@given(stac_like() | JSON)
def test_any_json_gives_harmless_scenes_or_an_error(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_text(json.dumps(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "_get", lambda url, most: (b"{}", url))  # the addresses are made up
        patch.setattr(remote, "_from_store", lambda store, url, most: b"{}")
        patch.setattr(remote, "_store", lambda url: None)
        try:
            assert all(map(is_harmless, find_scenes([path])))
        except GeodetectError as error:
            assert "\n" not in str(error)
