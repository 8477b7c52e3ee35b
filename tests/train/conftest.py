"""One thread: the models of these tests are small, and threads that spin wait for each other."""

from fake_windows import windows  # noqa: F401  (a fixture)

try:
    import torch
except ImportError:
    pass
else:
    torch.set_num_threads(1)
