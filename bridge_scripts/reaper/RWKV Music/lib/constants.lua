-- What the scripts need to know of the service's protocol.
-- Made by `python -m rwkv_music_daemon.osc.document`: change the code instead.

return {
  PROTOCOL = 1,
  HOST = "127.0.0.1",
  PORT = 7770,
  LEASE_S = 60,
  LARGEST_DATAGRAM = 8192,
  MOST_COMPOSE_NOTES = 60,
  DEFAULT_BARS = 4,
  MODES = { "manual", "trade", "auto" },
  -- A command's name in a mapping -> words for `ctl`.
  COMMANDS = {
    trigger = { "/rwkv/trigger" },
    toggle = { "/rwkv/toggle" },
    stop = { "/rwkv/stop" },
    panic = { "/rwkv/panic" },
    regenerate = { "/rwkv/regenerate" },
    take_next = { "/rwkv/take/next" },
    undo = { "/rwkv/undo" },
    reset = { "/rwkv/reset" },
    mode_manual = { "/rwkv/mode", "manual" },
    mode_trade = { "/rwkv/mode", "trade" },
    mode_auto = { "/rwkv/mode", "auto" },
  },
}
