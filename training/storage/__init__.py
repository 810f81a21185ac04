"""Data, checkpoints and outputs in object stores: `s3://`, `obs://`."""

from training.storage.addresses import is_remote
from training.storage.fetching import fetch
from training.storage.mirror import Mirror, check_remote

__all__ = ["Mirror", "check_remote", "fetch", "is_remote"]
