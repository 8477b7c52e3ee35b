"""`python -m rwkv_music_train`, which is how torchrun starts it."""

from .cli import main

main()
