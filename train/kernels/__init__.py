"""The WKV-7 recurrence, the heart of the model, and every form of it that trains.

`wkv7` is the one operator: `operator.py` says what it takes and gives. Behind it are the C++ of
this processor, CUDA C++, and plain PyTorch where neither can be built or the numbers are float64.
"""

from .operator import wkv7

__all__ = ["wkv7"]
