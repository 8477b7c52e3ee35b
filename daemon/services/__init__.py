"""RWKV Music as a background service: what the system's service manager is given and told."""
