"""What a list of scenes may not name."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listing import ENTRIES, HOSTILE, asset, is_harmless, item, touch, write

from geodetect.batch.names import output_names
from geodetect.batch.sources import find_scenes
from geodetect.batch.sources.entries import Origin
from geodetect.errors import ConfigError, GeodetectError


@pytest.mark.parametrize("entry", HOSTILE)
def test_what_gdal_would_do_more_with_is_refused(tmp_path, entry):
    document = item({"visual": asset(entry)})
    with pytest.raises(ConfigError):
        find_scenes([write(tmp_path / "item.json", json.dumps(document))])
    if "\ud800" not in entry:
        for name in ("list.txt", "list.csv"):
            quoted = '"' + entry.replace('"', '""') + '"'
            text = f"scene\n{quoted}\n" if name.endswith("csv") else entry
            with pytest.raises(ConfigError) as error:
                find_scenes([write(tmp_path / name, text)])
            assert "secret" not in str(error.value)


@pytest.mark.parametrize("entry", ["../vsinew/x", "../../vsinew/x", "./../vsi"])
def test_a_path_does_not_lead_up_to_gdals_own(entry):
    with pytest.raises(ConfigError, match="virtual file systems"):
        Origin("/data/list.txt").resolve(entry, "here")
    assert Origin("/data/deep/er/list.txt").resolve(entry, "here").startswith("/data/deep/er/..")


@pytest.mark.parametrize("entry", ["/vsizip/x.zip", "WMS:http://host", "vrt://x.tif", "<VRTDataset/>"])
def test_a_trusted_list_may_name_anything(tmp_path, entry):
    path = write(tmp_path / "list.txt", entry)
    with pytest.raises(ConfigError, match="--allow-vsi"):
        find_scenes([path])
    assert find_scenes([path], allow_vsi=True) == [entry]


def test_a_file_that_only_looks_like_a_connection_is_a_file(tmp_path):
    (scene,) = touch(tmp_path, "scene_T10:20.tif")
    assert find_scenes([write(tmp_path / "list.txt", "scene_T10:20.tif")]) == [scene]


def test_a_file_address_is_a_path(tmp_path):
    (scene,) = touch(tmp_path, "my scene.tif")
    text = f"file://{tmp_path}/my%20scene.tif\nfile://localhost{tmp_path}/my%20scene.tif\n"
    assert find_scenes([write(tmp_path / "list.txt", text)]) == [scene]


@settings(max_examples=500)
@given(ENTRIES, st.sampled_from(["/data/x/list.txt", "/list.txt", "https://h/x/l.txt", "s3://b/l.txt"]))
def test_what_an_entry_may_lead_to(entry, document):
    origin = Origin(document)
    with contextlib.suppress(GeodetectError):
        scene = origin.resolve(entry, "here")
        assert is_harmless(scene)
        assert not origin.is_remote or "://" in scene[:8]


@given(st.lists(ENTRIES, max_size=5), st.sampled_from([".txt", ".csv"]), st.sampled_from("\n,;"))
def test_any_text_gives_harmless_scenes_or_an_error(tmp_path_factory, entries, ending, separator):
    path = tmp_path_factory.getbasetemp() / f"fuzz{ending}"
    path.write_bytes(separator.join(entries).encode("utf-8", "surrogatepass"))
    try:
        scenes = find_scenes([path])
    except GeodetectError as error:
        assert not set("\n\x1b\0") & set(str(error))
        return
    assert all(map(is_harmless, scenes))
    assert len(set(output_names(scenes))) == len(scenes)


@given(st.binary(max_size=80), st.sampled_from([".txt", ".csv", ".json"]))
def test_any_bytes_give_harmless_scenes_or_an_error(tmp_path_factory, content, ending):
    path = tmp_path_factory.getbasetemp() / f"bytes{ending}"
    path.write_bytes(content)
    with contextlib.suppress(GeodetectError):
        assert all(map(is_harmless, find_scenes([path])))
