"""Every error that geodetect raises on purpose.

    GeodetectError
    ├── InputError              something the user gave is wrong            exit code 3
    │   ├── SceneError          the raster
    │   ├── ModelError          the model package, its card or its weights
    │   ├── ConfigError         an option's value
    │   ├── AreaError           the area of interest
    │   │   └── OutsideError    it does not meet the scene
    │   ├── LabelError          a label file or a set of training images
    │   └── OutputError         the place to write to
    │       └── BusyError       another run is writing there
    ├── DownloadError           a file that could not be fetched            exit code 1
    ├── EngineError             the engine or device is not available       exit code 1
    ├── TrainingError           a training run that cannot go on            exit code 1
    └── Cancelled               the user stopped the run                    exit code 130

A message is one sentence that says what is wrong, where, and what to do.
"""

_NO_MEMORY = (  # what libraries say that have errors of their own
    "failed to allocate",
    "cannot allocate",
    "can't alloc",
    "bad_alloc",
    "out of memory",
    "failed to map segment",
    "can't start new thread",
)


class GeodetectError(Exception):
    """Base of all errors of geodetect; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(GeodetectError):
    """Something that the user gave cannot be used."""

    exit_code = 3


class SceneError(InputError):
    """The raster cannot be read or does not fit the request."""


class ModelError(InputError):
    """The model package, its card or its weights are wrong or do not fit together."""


class ConfigError(InputError):
    """An option has a value that cannot be used."""


class AreaError(InputError):
    """The area of interest cannot be read or misses the scene."""


class OutsideError(AreaError):
    """The area of interest does not meet the scene."""


class LabelError(InputError):
    """A label file is wrong, or labels and images do not fit together."""


class OutputError(InputError):
    """The output cannot be written."""


class BusyError(OutputError):
    """Another run is writing the output."""


class DownloadError(GeodetectError):
    """A file could not be fetched."""


class EngineError(GeodetectError):
    """The engine or the device is not available on this machine."""


class TrainingError(GeodetectError):
    """A training run, an export or an evaluation cannot go on."""


class Cancelled(GeodetectError):  # noqa: N818 - it is no error, only handled like one
    """The user stopped the run."""

    exit_code = 130


def lacks_memory(error: BaseException | None) -> bool:
    """Return whether an error, or one that led to it, tells that no memory is left."""
    while error is not None:
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _NO_MEMORY):
            return True
        error = error.__cause__
    return False
