"""The one place that imports MindSpore, with what must be checked before it and set after it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np

from geodetect.errors import EngineError

if int(np.__version__.split(".")[0]) >= 2:
    raise EngineError(f'MindSpore was built for numpy 1 and here is numpy {np.__version__}: pip install "numpy<2"')

try:
    import mindspore
    from mindspore import nn, ops
except ImportError as error:
    raise EngineError('MindSpore is not installed: pip install "geodetect[mindspore]"') from error

__all__ = ["mindspore", "nn", "ops"]

_ISA = "ONEDNN_MAX_CPU_ISA"
_AVX2 = 7  # dnnl_cpu_isa_avx2


def _keep_off_avx512() -> None:
    """Keep MindSpore's oneDNN on AVX2: for AVX-512 it has only a reference 3x3 convolution, 150 times slower.

    It works until the process's first convolution. The library is told directly, because OpenVINO reads the same
    environment variable and would lose its bfloat16 by it.
    """
    if _ISA in os.environ:
        return
    libraries = list(Path(mindspore.__file__).parent.glob("lib/libdnnl.so*"))
    for library in libraries:
        ctypes.CDLL(str(library)).dnnl_set_max_cpu_isa(_AVX2)
    if not libraries:
        os.environ[_ISA] = "AVX2"


_keep_off_avx512()
