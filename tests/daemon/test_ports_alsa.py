"""ALSA's connections, read from the kernel's list."""

from __future__ import annotations

from rwkv_music_daemon.ports.alsa_sequencer import AlsaGraph, subscriptions

CLIENTS = """Client info
  cur  clients : 5
  peak clients : 6
  max  clients : 192

Client   0 : "System" [Kernel Legacy]
  Port   0 : "Timer" (Rwe-) [In/Out]
  Port   1 : "Announce" (R-e-) [In/Out]
    Connecting To: 142:0
Client  14 : "Midi Through" [Kernel Legacy]
  Port   0 : "Midi Through Port-0" (RWe-) [In/Out]
Client 128 : "RWKV Music" [User Legacy]
  Port   0 : "RWKV Music In" (-We-) [Out]
    Connected From: 20:0[r:0]
Client 129 : "RWKV Music" [User Legacy]
  Port   0 : "RWKV Music Out" (R-e-) [In]
    Connecting To: 14:0, 130:0[real:0], 199:3
Client 130 : "FLUID Synth (411): \\"x\\"" [User Legacy]
  Port   0 : "Synth input port (411:0)" (-We-) [Out]
    Connected From: 129:0
"""


def test_listeners_by_full_name() -> None:
    found = subscriptions(CLIENTS)
    assert found["RWKV Music:RWKV Music Out 129:0"] == (
        "Midi Through:Midi Through Port-0 14:0",
        'FLUID Synth (411): \\"x\\":Synth input port (411:0) 130:0',
        "199:3",  # it came or went while the list was written
    )
    assert found["RWKV Music:RWKV Music In 128:0"] == ()
    assert found["System:Announce 0:1"] == ("142:0",)


def test_nonsense_has_no_connections() -> None:
    assert subscriptions("") == {}
    assert subscriptions("    Connecting To: 1:1\n  Port 0 : broken\nClient x\n") == {}


def test_a_machine_without_a_sequencer(tmp_path) -> None:
    graph = AlsaGraph(tmp_path / "clients")
    assert graph.peers("any:port 1:0") == ()
    (tmp_path / "clients").write_text(CLIENTS)
    assert len(graph.peers("RWKV Music:RWKV Music Out 129:0")) == 3
    assert graph.peers('FLUID Synth (411): \\"x\\":Synth input port (411:0) 130:0') == (
        "RWKV Music:RWKV Music Out 129:0",
    )
