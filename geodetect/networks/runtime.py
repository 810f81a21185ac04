"""The one place that imports MindSpore, after what must be set and checked before it."""

from __future__ import annotations

import os

import numpy as np

from geodetect.errors import EngineError

# oneDNN 3.10 has no fast 3x3 convolution for AVX-512 in MindSpore's build: its reference kernel is 150 times slower.
# The value is read at the first convolution of the process.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

if int(np.__version__.split(".")[0]) >= 2:
    raise EngineError(f'MindSpore was built for numpy 1 and here is numpy {np.__version__}: pip install "numpy<2"')

try:
    import mindspore
    from mindspore import nn, ops
except ImportError as error:
    raise EngineError('MindSpore is not installed: pip install "geodetect[mindspore]"') from error

__all__ = ["mindspore", "nn", "ops"]
