"""What a user may give as the scenes of a batch."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listing import touch, write
from running import Telling

from geodetect.batch.sources import find_scenes, lists
from geodetect.batch.sources.folders import natural_key
from geodetect.errors import ConfigError, SceneError
from geodetect.progress import Caution


def test_a_raster_and_what_only_gdal_knows_are_taken_as_typed(tmp_path):
    (scene,) = touch(tmp_path, "scene.dat")
    typed = [scene, "/vsizip/a.zip/b.tif", "GTIFF_DIR:1:x.tif", "https://host/a.tif?key=1", "s3://bucket/a.tif"]
    assert find_scenes(typed) == typed
    assert find_scenes([Path(scene), scene, str(tmp_path / "." / "scene.dat")]) == [scene]


@pytest.mark.parametrize("source", ["none.tif", "none", "no*.tif", "none/**/*.tif"])
def test_what_is_not_there_is_told(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SceneError, match=r"does not exist|matches no rasters"):
        find_scenes([source])
    with pytest.raises(ConfigError, match="no scenes are given"):
        find_scenes([])
    with pytest.raises(ConfigError, match="control characters"):
        find_scenes(["a\0.tif"])


def test_a_folder_gives_its_rasters_in_the_order_people_count(tmp_path):
    wanted = touch(tmp_path, "a/scene2.tif", "a/scene10.TIF", "a/b/deep.jp2", "B.vrt", "plain.png", "scene1.tiff")
    touch(tmp_path, ".hidden.tif", ".hidden/x.tif", "a/scene2.tif.ovr", "a/scene2.tif.msk", "a/scene2.tif.aux.xml")
    touch(tmp_path, "a/scene2.tfw", "a/scene2.png", "scene1_detections.gpkg", "plain_detections.png", "notes.txt")
    touch(tmp_path, "lost+found/x.tif", "@eaDir/plain.png/thumb.jpg")
    found = find_scenes([tmp_path])
    assert sorted(found) == sorted(wanted)
    assert [Path(scene).name for scene in found] == [
        *("deep.jp2", "scene2.tif", "scene10.TIF", "B.vrt", "plain.png", "scene1.tiff"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SceneError, match="has no rasters"):
        find_scenes([tmp_path / "empty"])


def test_a_name_that_cannot_be_taken_is_told_and_left_out(tmp_path):
    wanted = touch(tmp_path, "a.tif", "b.tif", f"{'long' * 60}.tif", "(1) größe'; #%41.tif")
    for name in (b"gr\xf6sse.tif", b"two\nlines.tif", b"bell\x07.tif"):
        try:
            with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
                pass
        except OSError:
            pytest.skip("a file system that knows no such names")
    for source in (tmp_path, f"{tmp_path}/*.tif"):
        reporter = Telling()
        assert sorted(find_scenes([source], reporter=reporter)) == sorted(wanted)
        (note,) = reporter.notes
        assert isinstance(note, Caution)
        assert re.search(r"left out: .*\.tif and 2 more, with control characters or broken text in the name", note)
        assert note.isprintable()
    with pytest.raises(ConfigError, match="control characters"):  # what is typed is meant
        find_scenes([f"{tmp_path}/bell\a.tif"])


def test_a_subfolder_that_cannot_be_read_is_told_and_left_out(tmp_path, monkeypatch):
    wanted = touch(tmp_path, "a.tif", "b/c.tif")
    touch(tmp_path, "b/shut/d.tif")
    scan = os.scandir  # for root no folder is shut

    def scandir(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for source in (tmp_path, f"{tmp_path}/**/*.tif"):
        reporter = Telling()
        assert sorted(find_scenes([source], reporter=reporter)) == sorted(wanted)
        (note,) = reporter.notes
        assert f"left out: the folder {tmp_path}/b/shut cannot be read (Permission denied)" in note
    with pytest.raises(SceneError, match=r"shut cannot be read \(Permission denied\); check that you may read it"):
        find_scenes([tmp_path / "b/shut"])


def test_links_that_lead_round_end(tmp_path):
    touch(tmp_path, "a/b/scene.tif")
    for name in ("a/up", "a/b/up", "a/b/top"):
        (tmp_path / name).symlink_to(tmp_path if name.endswith("top") else tmp_path / "a", target_is_directory=True)
    (tmp_path / "self.tif").symlink_to(tmp_path / "self.tif")
    assert [Path(scene).name for scene in find_scenes([tmp_path])] == ["scene.tif"]
    assert [Path(scene).name for scene in find_scenes([f"{tmp_path}/**/*.tif"])] == ["scene.tif"]
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "a", target_is_directory=True)
    assert find_scenes([linked]) == [str(linked / "b/scene.tif")]


def test_a_pattern_matches_as_a_shell_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(
        tmp_path, "s/a1.tif", "s/a2.tif", "s/a3.dat", "s/.a4.tif", "s/deep/er/a5.tif", "s/a1_detections.tif", "[x].tif"
    )
    assert find_scenes(["s/a?.tif"]) == ["s/a1.tif", "s/a2.tif"]
    assert find_scenes(["s/**/*.tif"]) == ["s/a1.tif", "s/a1_detections.tif", "s/a2.tif", "s/deep/er/a5.tif"]
    assert find_scenes(["s/*.dat"]) == ["s/a3.dat"]
    assert set(find_scenes(["s/*"])) == {"s/a1.tif", "s/a2.tif", "s/deep/er/a5.tif"}  # folders are looked into
    assert find_scenes(["s/[!a]*"]) == ["s/deep/er/a5.tif"]
    assert find_scenes(["s/.a*.tif"]) == ["s/.a4.tif"]
    assert find_scenes(["[x].tif"]) == ["[x].tif"]  # a file of that very name
    assert find_scenes([f"{tmp_path}/s/**/a5.tif"]) == [f"{tmp_path}/s/deep/er/a5.tif"]


@given(st.lists(st.text(alphabet="a1/0b", max_size=6)))
def test_sorting_does_not_depend_on_the_order_before(paths):
    backwards = paths[::-1]
    assert sorted(paths, key=natural_key) == sorted(backwards, key=natural_key)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_list(tmp_path, encoding, end):
    lines = [
        "# scenes",
        "",
        "  größe.tif ",
        '"sub/with space.tif"',
        "#off.tif",
        "/data/a.tif",
        "https://h/a.tif?k=#1",
        "größe.tif",
    ]
    path = write(tmp_path / "list.txt", end.join(lines), encoding)
    local = [str(tmp_path / "größe.tif"), str(tmp_path / "sub/with space.tif")]
    assert find_scenes([path]) == [*local, "/data/a.tif", "https://h/a.tif?k=#1"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id,scene\n1,a.tif\n2,b.tif\n", ["a.tif", "b.tif"]),
        ("id;Path;note\n1;a.tif;x,y,z\n\n# 2;off.tif;\n", ["a.tif"]),
        ("url\tpath\nhttps://h/u.tif\ta.tif\n", ["a.tif"]),  # path comes before url
        ('id,location\n1,"a,b.tif"\n', ["a,b.tif"]),
        ("a.tif\nb.tif\n", ["a.tif", "b.tif"]),  # no header
        ("picture,id\na.tif,1\n", ["a.tif"]),
        ("\ufeffhref\r\nC:\\x.tif\r\n", ["C:\\x.tif"]),
    ],
)
def test_a_csv_list(tmp_path, text, names):
    path = write(tmp_path / "list.csv", text)
    expected = [name if name[1] == ":" else str(tmp_path / name) for name in names]
    assert find_scenes([path]) == expected


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("list.txt", "a.tif\n\nWMS:x\n", r"list.txt, line 3: WMS:... is a connection"),
        ("list.txt", "# nothing\n", "lists no scenes"),
        ("list.csv", "id,scene\n1,a.tif\n2,\n", "list.csv, line 3: a scene's path is empty"),
        ("list.csv", "id,scene\n1,a.tif\n2\n", "line 3"),
        (
            "list.csv",
            'scene\n"' + "x" * 200_000 + '"\n',
            "is no CSV|a path of 200,000 characters",
        ),  # other packages raise csv's own limit
        ("list.txt", "x" * 9000, "line 1: a path of 9,000 characters"),
        ("list.txt", "/dev/zero", "is a device or pipe"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, name, text, words):
    with pytest.raises(ConfigError, match=words) as error:
        find_scenes([write(tmp_path / name, text)])
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_list_that_is_no_text_or_too_large(tmp_path, monkeypatch):
    (tmp_path / "list.txt").write_bytes(b"a.tif\nb.tif\ngr\xf6sse.tif\n")
    with pytest.raises(ConfigError, match=r"list.txt, line 3: it is not UTF-8"):
        find_scenes([tmp_path / "list.txt"])
    monkeypatch.setattr(lists, "MOST_BYTES", 1 << 20)
    with pytest.raises(ConfigError, match="more than 1 MiB"):
        find_scenes([write(tmp_path / "large.txt", "a.tif\n" * 200_000)])
    monkeypatch.setattr(lists, "MOST_SCENES", 10)
    with pytest.raises(ConfigError, match="more than 10 scenes"):
        find_scenes([write(tmp_path / "many.txt", "a.tif\n" * 11)])
