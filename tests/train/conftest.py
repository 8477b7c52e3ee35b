"""One thread: the models of these tests are small, and threads that spin wait for each other."""

try:
    import torch
except ImportError:
    pass
else:
    torch.set_num_threads(1)
