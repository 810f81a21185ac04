"""Opens rasters whose paths it is told, line by line, in a process with little memory: what a damaged file can do."""

import resource
import sys

from geodetect.errors import SceneError
from geodetect.scene import open_scene
from geodetect.survey import occupied, sample
from geodetect.window import Window

MEMORY = 3 << 30  # bytes of address space


def look(path: str) -> str:
    try:
        with open_scene(path, ("1", "1", "1")) as scene:
            _ = scene.grid.gsd
            corner = Window(0, 0, min(64, scene.grid.height), min(64, scene.grid.width))
            assert scene.read(corner).pixels.shape == (3, corner.height, corner.width)
            scene.read(Window(scene.grid.height - 1, scene.grid.width - 1, 1, 1))
            scene.overview(64)
            sample(scene)
            occupied(scene, [corner])
    except SceneError as error:
        return "one line" if "\n" not in str(error) else "several lines"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        print(" ".join(look(line.rstrip("\n")).split()), flush=True)
