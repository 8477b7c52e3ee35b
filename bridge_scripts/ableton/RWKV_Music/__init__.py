"""RWKV Music inside Ableton Live 11 and 12: what Live loads as a control surface."""


def create_instance(c_instance):
    """Called by Live, once, with its side of the connection."""
    from .surface import Surface  # only Live has what it imports

    return Surface(c_instance)
