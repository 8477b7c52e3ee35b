-- The command that the scripts run. `rwkv-music-daemon bridges install reaper` writes the whole
-- path here; the action rwkv_music.lua asks for it.
return "rwkv-music-daemon"
