"""The subcommands of `rwkv-music-daemon`: a module each, which defines `command`."""
