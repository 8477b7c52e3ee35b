-- Notes on their way through `rwkv-music-daemon compose`: files in its form.

local exchange = {}

local function name_of(kind)
  local folder = reaper.GetResourcePath() .. "/Data/RWKV Music"
  reaper.RecursiveCreateDirectory(folder, 0)
  return ("%s/%s-%d.txt"):format(folder, kind, math.floor(reaper.time_precise() * 1000))
end

-- Write the notes; returns the file's name, or nil and what went wrong.
function exchange.write(notes)
  local path = name_of("context")
  local file, problem = io.open(path, "w")
  if not file then return nil, problem end
  for _, note in ipairs(notes) do
    file:write(("%.6f %d %d %.6f\n"):format(note.beat, note.pitch, note.velocity, note.beats))
  end
  file:close()
  return path
end

function exchange.outcome()
  return name_of("outcome")
end

-- The notes of an outcome; nil while there is none; false and a text for an error.
function exchange.read(path)
  local file = io.open(path, "r")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  local problem = text:match("^error: (.-)%s*$")
  if problem then return false, problem end
  local notes = {}
  for beat, pitch, velocity, beats in text:gmatch("(%S+) (%d+) (%d+) (%S+)\r?\n") do
    notes[#notes + 1] = {
      beat = tonumber(beat),
      pitch = math.tointeger(tonumber(pitch)),
      velocity = math.tointeger(tonumber(velocity)),
      beats = tonumber(beats),
    }
  end
  return notes
end

return exchange
