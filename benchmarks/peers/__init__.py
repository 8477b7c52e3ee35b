"""Other engines, each in a process of its own, asked block by block so that all take turns."""

from .client import Peer, PeerError, interpreter

__all__ = ["Peer", "PeerError", "interpreter"]
