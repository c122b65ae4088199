"""What says that a model is still the same, in another process too."""

from __future__ import annotations

import sys

from joblib.hashing import NumpyHasher

__all__ = ["fingerprint"]


class _Hasher(NumpyHasher):
    """joblib's, for which a tensor is its numbers: in torch's own form is its address."""

    def save(self, obj):
        torch = sys.modules.get("torch")  # without it there are no tensors
        if torch is not None and isinstance(obj, torch.Tensor):
            obj = obj.detach().cpu().numpy()
        super().save(obj)


def fingerprint(thing) -> str:
    """Return a checksum of an object, its arrays and tensors included.

    Examples
    --------
    >>> import pickle
    >>> import torch
    >>> layer = torch.nn.Linear(2, 3)
    >>> fingerprint(layer) == fingerprint(pickle.loads(pickle.dumps(layer)))
    True
    """
    return _Hasher(hash_name="md5").hash(thing)
