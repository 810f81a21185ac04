"""Rasters that claim absurd sizes, lie in their headers or are damaged: a SceneError or pixels, nothing else."""

import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from geodetect.config import MAX_GIGAPIXELS, DetectConfig
from geodetect.errors import SceneError
from geodetect.scene import open_scene
from geodetect.window import Window

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PIXELS = np.random.default_rng(0).integers(0, 255, (3, 48, 64), dtype=np.uint8)
SMALL = {"tiled": True, "blockxsize": 16, "blockysize": 16}
FORMATS = {  # name: profile of the GeoTIFF, driver of the copy
    "tiles.tif": (SMALL | {"compress": "deflate"}, None),
    "strips.tif": ({"compress": "lzw"}, None),
    "jpeg.tif": (SMALL | {"compress": "jpeg", "photometric": "ycbcr"}, None),
    "overviews.tif": (SMALL, None),
    "float.tif": ({"dtype": "float32", "nodata": -1, "compress": "deflate", "predictor": 3}, None),
    "bands.tif": ({"interleave": "band", "compress": "zstd"}, None),
    "plain.png": ({}, "PNG"),
    "plain.jpg": ({}, "JPEG"),
    "plain.jp2": ({}, "JP2OpenJPEG"),
    "plain.bmp": ({}, "BMP"),
    "plain.vrt": ({}, "VRT"),
    "plain.img": ({}, "HFA"),
}


def write(path, profile, pixels=PIXELS):
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "crs": "EPSG:32631",
        "transform": Affine(0.5, 0, 0, 0, -0.5, 0),
    } | profile
    with rasterio.open(path, "w", count=3, height=pixels.shape[1], width=pixels.shape[2], **profile) as file:
        file.write(pixels.astype(profile["dtype"]))
        file.set_band_description(1, "red")
    return path


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """The bytes of a small valid file of each format."""
    folder, found = tmp_path_factory.mktemp("valid"), {}
    for name, (profile, driver) in FORMATS.items():
        path = write(folder / f"{name}.tif", profile)
        if name == "overviews.tif":
            with rasterio.open(path, "r+") as file:
                file.build_overviews([2, 4], Resampling.average)
        if driver:
            rasterio.shutil.copy(path, folder / name, driver=driver)
            path = folder / name
        found[name] = path.read_bytes()
    return found


class Reader:
    """The process that opens damaged files; a new one where the last has died."""

    def __init__(self) -> None:
        self.process, self.answers = None, queue.Queue()

    def ask(self, path: Path) -> str:
        if self.process is None:
            script = Path(__file__).with_name("hostile_reader.py")
            self.process = subprocess.Popen(
                [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, cwd=Path(__file__).parents[2],
            )  # fmt: skip
        threading.Thread(
            target=lambda p: self.answers.put(p.stdout.readline()), args=[self.process], daemon=True
        ).start()
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        try:
            answer = self.answers.get(timeout=60)
        except queue.Empty:
            answer = "it hangs"
        if answer in ("", "it hangs"):
            self.close()
        return answer.strip() or "it has died"

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


@pytest.fixture(scope="module")
def reader():
    pytest.importorskip("resource")
    running = Reader()
    yield running
    running.close()


DAMAGE = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from(
        [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\1\0", b"\xa0\x86\1\0", b"\xff\xff", b"\0"]
    ),
)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_raster_is_read_or_refused(name, data, blobs, reader, tmp_path_factory):
    blob = bytearray(blobs[name])
    for _ in range(data.draw(st.integers(1, 4))):
        reach = data.draw(st.sampled_from([64, 512, len(blob)]))
        at, bytes_ = data.draw(st.integers(0, min(reach, len(blob)) - 1)), data.draw(DAMAGE)
        blob[at : at + len(bytes_)] = bytes_
    if data.draw(st.booleans()):
        del blob[data.draw(st.integers(0, len(blob))) :]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(blob)
    assert reader.ask(path) in ("read", "one line")


def test_the_reader_tells_what_goes_wrong(reader, blobs, tmp_path, monkeypatch):
    (tmp_path / "good.tif").write_bytes(blobs["tiles.tif"])
    assert reader.ask(tmp_path / "good.tif") == "read"
    (tmp_path / "bad.tif").write_bytes(b"II")
    assert reader.ask(tmp_path / "bad.tif") == "one line"
    other = Reader()
    monkeypatch.setattr(sys, "executable", "/bin/true" if Path("/bin/true").exists() else sys.executable)
    with pytest.raises((BrokenPipeError, AssertionError)):
        assert other.ask(tmp_path / "good.tif") in ("read", "one line")
    other.close()


def vrt(path, width=100, height=100, extra="", bands=3, inner="", kind="Byte"):
    band = "".join(f'<VRTRasterBand dataType="{kind}" band="{i + 1}">{inner}</VRTRasterBand>' for i in range(bands))
    path.write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{extra}{band}</VRTDataset>')
    return path


def test_a_scene_of_a_terapixel_is_refused_and_the_flag_is_named(tmp_path):
    path = vrt(tmp_path / "huge.vrt", 10**6, 10**6)
    with pytest.raises(SceneError, match=r"1,000,000 x 1,000,000 px, 100 gigapixels are allowed.*--max-gigapixels"):
        open_scene(path)
    with open_scene(path, max_gigapixels=1000) as scene:
        assert scene.grid.width == 10**6
    with pytest.raises(SceneError, match=r"0\.001 gigapixels are allowed"):
        open_scene(vrt(tmp_path / "small.vrt", 10**4, 10**3), max_gigapixels=0.001)


def test_the_limits_agree():
    assert DetectConfig().max_gigapixels == MAX_GIGAPIXELS == 100


def sparse(path, side, **profile):
    """Write a GeoTIFF that stores nothing: a few kilobytes that claim to be a scene."""
    options = {"driver": "GTiff", "dtype": "uint8", "compress": "deflate", "SPARSE_OK": "TRUE", "bigtiff": "yes"}
    with rasterio.open(path, "w", count=3, **(options | {"height": side, "width": side} | profile)):
        pass
    return path


def giant(side):
    return {"tiled": True, "blockxsize": side, "blockysize": side}


def test_a_scene_of_one_tile_is_refused_before_it_is_decoded(tmp_path, reader):
    path = sparse(tmp_path / "tile.tif", 40_000, **giant(40_000))
    assert path.stat().st_size < 10_000
    with pytest.raises(SceneError, match=r"blocks of 40,000 x 40,000 px, which take 4\.8 GB.*gdal_translate -of COG"):
        open_scene(path)
    with open_scene(path, max_gigapixels=500) as scene:
        assert scene.block == (40_000, 40_000)
    assert reader.ask(path) == "one line"


def test_what_counts_is_all_that_is_decoded_at_once(tmp_path):
    open_scene(sparse(tmp_path / "bands.tif", 20_000, interleave="band", **giant(20_000))).close()  # 0.4 GB
    for name, options in (("pixels", giant(20_000)), ("strips", {"blockysize": 10_000, "width": 40_000})):
        with pytest.raises(SceneError, match=r"1\.2 GB"):
            open_scene(sparse(tmp_path / f"{name}.tif", 20_000, **options))


def test_a_reduced_copy_of_one_tile_is_refused(tmp_path):
    path = sparse(tmp_path / "scene.tif", 80_000, **giant(512))
    sparse(tmp_path / "scene.tif.ovr", 40_000, **giant(40_000))
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2]
    with pytest.raises(SceneError, match="blocks of 40,000 x 40,000 px"):
        open_scene(path)


def test_a_scene_in_millions_of_tiny_blocks_is_refused(tmp_path):
    path = sparse(tmp_path / "blocks.tif", 8_000, **giant(16))
    open_scene(path).close()
    with pytest.raises(SceneError, match="is stored in 250,000 blocks of 16 x 16 px"):
        open_scene(path, max_gigapixels=1)


PALETTE = "<ColorInterp>Palette</ColorInterp>"
ENTRY = '<ColorTable><Entry c1="70000" c2="-5" c3="1" c4="255"/></ColorTable>'


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("no table", {"inner": PALETTE}),
        ("empty table", {"inner": f"{PALETTE}<ColorTable></ColorTable>"}),
        ("palette of fractions", {"inner": PALETTE + ENTRY, "kind": "Float32"}),
    ],
)
def test_a_palette_of_no_use_is_one_band(tmp_path, name, options):
    with pytest.raises(SceneError, match="has 1 band"):
        open_scene(vrt(tmp_path / "a.vrt", bands=1, **options))


@pytest.mark.parametrize("kind", ["Byte", "Int32"])
def test_colours_beyond_eight_bits_are_cut(tmp_path, kind):
    with open_scene(vrt(tmp_path / "a.vrt", bands=1, inner=PALETTE + ENTRY, kind=kind)) as scene:
        pixels = scene.read(Window(0, 0, 10, 10)).pixels
    assert pixels.dtype == np.uint8
    assert pixels[:, 0, 0].tolist() == [255, 0, 1]


def test_band_names_that_are_no_utf8_are_left_aside(tmp_path):
    bands = b"".join(
        b'<VRTRasterBand dataType="Byte" band="%d"><Description>\xff\xe9</Description></VRTRasterBand>' % i
        for i in (1, 2, 3)
    )
    (tmp_path / "a.vrt").write_bytes(b'<VRTDataset rasterXSize="9" rasterYSize="9">%s</VRTDataset>' % bands)
    with open_scene(tmp_path / "a.vrt") as scene:
        assert scene.bands == (1, 2, 3)


@pytest.mark.parametrize(
    "transform",
    [
        "nan,1,0,0,0,-1",
        "0,1e300,0,0,0,-1e300",
        "0,1e-300,0,0,0,-1e-300",
        "0,1e-12,0,0,0,-1e-12",
        "0,1e-320,0,0,0,-1",
        "0,1,1,0,1,1",
        "0,0,0,0,0,0",
    ],
)
def test_geotransforms_of_no_use(tmp_path, transform):
    extra = f"<SRS>EPSG:32631</SRS><GeoTransform>{transform}</GeoTransform>"
    with pytest.raises(SceneError, match="of no area"):
        open_scene(vrt(tmp_path / "a.vrt", extra=extra))


def test_a_projection_that_cannot_be_computed_is_a_scene_error(tmp_path):
    wkt = rasterio.crs.CRS.from_epsg(32631).to_wkt().replace("0.9996", "-1").replace('"', "&quot;")
    wkt = wkt.replace(",AUTHORITY[&quot;EPSG&quot;,&quot;32631&quot;]", "")
    extra = f"<SRS>{wkt}</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform>"
    with pytest.raises(SceneError, match="has a CRS of no use"):
        open_scene(vrt(tmp_path / "a.vrt", extra=extra))


def test_code_in_a_vrt_is_not_run(tmp_path):
    code = f'\nimport pathlib\ndef f(*a):\n    pathlib.Path("{tmp_path / "owned"}").touch()\n'
    inner = "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    inner += f"<PixelFunctionCode><![CDATA[{code}]]></PixelFunctionCode>"
    path = vrt(tmp_path / "a.vrt", inner=inner)
    path.write_text(path.read_text().replace('dataType="Byte"', 'dataType="Byte" subClass="VRTDerivedRasterBand"'))
    try:
        with open_scene(path) as scene:
            scene.read(Window(0, 0, 10, 10))
    except SceneError:
        pass
    assert not (tmp_path / "owned").exists()


def test_a_vrt_of_itself_ends(tmp_path):
    name = '<SourceFilename relativeToVRT="1">a.vrt</SourceFilename>'
    source = f"<SimpleSource>{name}<SourceBand>1</SourceBand></SimpleSource>"
    path = vrt(tmp_path / "a.vrt", inner=source)
    try:
        with open_scene(path) as scene:
            scene.read(Window(0, 0, 10, 10))
    except SceneError:
        pass


@pytest.mark.parametrize(
    "path", ["a\0b.tif", "x:\0b.tif", "a" * 5_000, "", "MEM:::DATAPOINTER=1,PIXELS=9,LINES=9", "<VRTDataset>://"]
)
def test_paths_that_are_none(path):
    with pytest.raises(SceneError):
        open_scene(path)
