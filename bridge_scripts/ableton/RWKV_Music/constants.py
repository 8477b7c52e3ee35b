"""What the script needs to know of the service's protocol.

Made by `python -m rwkv_music_daemon.osc.document`: change the code instead.
"""

PROTOCOL = 1
HOST = "127.0.0.1"
PORT = 7770
LEASE_S = 60
LARGEST_DATAGRAM = 8192
MOST_COMPOSE_NOTES = 60
DEFAULT_BARS = 4
MODES = ("manual", "trade", "auto")

# Addresses.
PING = "/rwkv/ping"
SUBSCRIBE = "/rwkv/subscribe"
UNSUBSCRIBE = "/rwkv/unsubscribe"
STATUS = "/rwkv/status"
HISTORY = "/rwkv/history"
TRIGGER = "/rwkv/trigger"
TOGGLE = "/rwkv/toggle"
STOP = "/rwkv/stop"
PANIC = "/rwkv/panic"
REGENERATE = "/rwkv/regenerate"
TAKE_SELECT = "/rwkv/take/select"
TAKE_NEXT = "/rwkv/take/next"
UNDO = "/rwkv/undo"
RESET = "/rwkv/reset"
MODE = "/rwkv/mode"
PARAMS = "/rwkv/params"
LEARN = "/rwkv/learn"
LEARN_LIST = "/rwkv/learn/list"
UNLEARN = "/rwkv/unlearn"
TRANSPORT_PLAY = "/rwkv/transport/play"
TRANSPORT_STOP = "/rwkv/transport/stop"
TRANSPORT_CONTINUE = "/rwkv/transport/continue"
TRANSPORT_TEMPO = "/rwkv/transport/tempo"
TRANSPORT_METER = "/rwkv/transport/meter"
TRANSPORT_BAR = "/rwkv/transport/bar"
TRANSPORT_POSITION = "/rwkv/transport/position"
TRANSPORT_BBT = "/rwkv/transport/bbt"
TRANSPORT_SECONDS = "/rwkv/transport/seconds"
TRANSPORT_SOURCE = "/rwkv/transport/source"
MEMORY_SAVE = "/rwkv/memory/save"
MEMORY_LOAD = "/rwkv/memory/load"
MEMORY_LIST = "/rwkv/memory/list"
MODEL_LOAD = "/rwkv/model/load"
MODEL_LIST = "/rwkv/model/list"
COMPOSE_BEGIN = "/rwkv/compose/begin"
COMPOSE_NOTES = "/rwkv/compose/notes"
COMPOSE_RUN = "/rwkv/compose/run"
PONG = "/rwkv/pong"
HISTORY_NOTE = "/rwkv/history/note"
HISTORY_DONE = "/rwkv/history/done"
ACCEPTED = "/rwkv/accepted"
PARAM_DESCRIBE = "/rwkv/param/describe"
LEARNING = "/rwkv/learning"
LEARNED = "/rwkv/learned"
LEARN_DONE = "/rwkv/learn/done"
MEMORY = "/rwkv/memory"
MODEL = "/rwkv/model"
COMPOSE_RESULT = "/rwkv/compose/result"
COMPOSE_DONE = "/rwkv/compose/done"
ERROR = "/rwkv/error"
PARAM_BARS = "/rwkv/param/bars"
STATE = "/rwkv/state"
BAR = "/rwkv/bar"
NOTE_HEARD = "/rwkv/note/heard"
NOTE_PLAYED = "/rwkv/note/played"
KEY = "/rwkv/key"
TAKE = "/rwkv/take"
DONE = "/rwkv/done"
TURN = "/rwkv/turn"
WORKER = "/rwkv/worker"
HEARTBEAT = "/rwkv/heartbeat"

# A command's name in a mapping -> its address and arguments.
COMMANDS = {
    "trigger": (TRIGGER, ()),
    "toggle": (TOGGLE, ()),
    "stop": (STOP, ()),
    "panic": (PANIC, ()),
    "regenerate": (REGENERATE, ()),
    "take_next": (TAKE_NEXT, ()),
    "undo": (UNDO, ()),
    "reset": (RESET, ()),
    "mode_manual": (MODE, ("manual",)),
    "mode_trade": (MODE, ("trade",)),
    "mode_auto": (MODE, ("auto",)),
}

# Address -> the types of its arguments, then of those that repeat.
TYPES = {
    PING: ("s", ""),
    SUBSCRIBE: ("i", ""),
    UNSUBSCRIBE: ("i", ""),
    STATUS: ("", ""),
    HISTORY: ("i", ""),
    TRIGGER: ("ii", ""),
    TOGGLE: ("", ""),
    STOP: ("", ""),
    PANIC: ("", ""),
    REGENERATE: ("", ""),
    TAKE_SELECT: ("i", ""),
    TAKE_NEXT: ("", ""),
    UNDO: ("", ""),
    RESET: ("", ""),
    MODE: ("sii", ""),
    PARAMS: ("", ""),
    LEARN: ("s", ""),
    LEARN_LIST: ("", ""),
    UNLEARN: ("s", ""),
    TRANSPORT_PLAY: ("", ""),
    TRANSPORT_STOP: ("", ""),
    TRANSPORT_CONTINUE: ("", ""),
    TRANSPORT_TEMPO: ("f", ""),
    TRANSPORT_METER: ("ii", ""),
    TRANSPORT_BAR: ("ifii", ""),
    TRANSPORT_POSITION: ("f", ""),
    TRANSPORT_BBT: ("s", ""),
    TRANSPORT_SECONDS: ("f", ""),
    TRANSPORT_SOURCE: ("s", ""),
    MEMORY_SAVE: ("s", ""),
    MEMORY_LOAD: ("s", ""),
    MEMORY_LIST: ("", ""),
    MODEL_LOAD: ("s", ""),
    MODEL_LIST: ("", ""),
    COMPOSE_BEGIN: ("sfii", ""),
    COMPOSE_NOTES: ("si", "fiif"),
    COMPOSE_RUN: ("siii", ""),
}
