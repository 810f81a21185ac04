"""What the outputs of a batch are called."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.batch.names import output_names

PARTS = ("a", "A", "b", "scene.tif", "SCENE.tif", "é", "e\u0301", "con", "con.x", "..", "x" * 90)
ADDRESSES = ("https://h/x.tif?id=1", "https://h/x.tif?id=2", "https://x/..%2f..%2fetc/passwd.tif", "C:\\d\\x.tif")
SCENES = st.one_of(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join),
    st.text(min_size=1, max_size=30),
    st.sampled_from(ADDRESSES),
)


@given(st.lists(SCENES, max_size=12, unique=True), st.randoms(), st.data())
def test_names_are_unique_safe_and_no_matter_of_order(scenes, random, data):
    names = output_names(scenes)
    folded = [name.casefold() for name in names]
    assert len(set(folded)) == len(scenes)
    for name in names:
        assert name.endswith("_detections.gpkg")
        assert not set(name) & set('<>:"/\\|?*%\0\n')
        assert not name.startswith((".", "-", " "))
        assert len(name.encode()) < 200
        assert name.split(".")[0].upper() != "CON"
    shuffled = list(scenes)
    random.shuffle(shuffled)
    assert dict(zip(shuffled, output_names(shuffled), strict=True)) == dict(zip(scenes, names, strict=True))
    taken = data.draw(st.lists(st.sampled_from(names))) if names else []
    others = output_names(scenes, taken=[name.upper() for name in taken])
    assert not {name.casefold() for name in others} & {name.casefold() for name in taken}
    assert len({name.casefold() for name in others}) == len(scenes)


@pytest.mark.parametrize(
    ("scenes", "names"),
    [
        (["d/scene.tif"], ["scene"]),
        (["harbour_a/scene.tif", "harbour_b/SCENE.tif", "x/one.tif"], ["harbour_a_scene", "harbour_b_SCENE", "one"]),
        (["a/i/s.tif", "b/i/s.tif"], ["a_i_s", "b_i_s"]),
        (["a/s.tif", "b/s.tif", "c/a_s.tif"], ["a_s", "b_s", "c_a_s"]),
        (["s.tif", "s.jp2", "s.png"], ["s_3", "s", "s_2"]),  # by the scenes' own order
        (["https://h/x.tif?id=2", "https://h/x.tif?id=1"], ["h_x_2", "h_x"]),
        (["https://x/..%2f..%2fetc/passwd.tif"], ["passwd"]),
        (["https://u:SECRET@h/s.tif", "https://u:SECRET@g/s.tif"], ["h_s", "g_s"]),
        (["https://h/..%2f..%2fpasswd.tif"], ["_.._passwd"]),
        (["con.x.tif", "nul.tif"], ["_con.x", "nul"]),
        (["C:\\d\\x.tif", "-rf.tif", "..", "a b.tif"], ["x", "rf", "scene", "a b"]),
        (["GTIFF_DIR:1:x.tif"], ["GTIFF_DIR_1_x"]),
    ],
)
def test_names(scenes, names):
    assert output_names(scenes) == [f"{name}_detections.gpkg" for name in names]


def test_a_name_that_is_in_use_is_not_given_again():
    assert output_names(["a/s.tif"], taken=["S_Detections.GPKG"]) == ["a_s_detections.gpkg"]
    assert output_names(["s.tif"], "geojson", taken=["s_detections.geojson", "s_2_detections.geojson"]) == [
        "s_3_detections.geojson"
    ]


def test_many_scenes_of_one_name_take_seconds():
    began = time.monotonic()
    names = output_names([f"/data/{n // 300}/{n % 300}/scene.tif" for n in range(20_000)])
    assert len(set(names)) == 20_000
    assert time.monotonic() - began < 30
