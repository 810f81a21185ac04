"""Data, checkpoints and outputs in object stores: `s3://`, `obs://`."""

from training.storage.addresses import is_remote
from training.storage.fetching import alone, fetch
from training.storage.mirror import Mirror, check_remote
from training.storage.peeking import peek
from training.storage.sending import check_vacant, sent

__all__ = ["Mirror", "alone", "check_remote", "check_vacant", "fetch", "is_remote", "peek", "sent"]
