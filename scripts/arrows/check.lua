-- Holds arrows against the table; see scripts/arrows.lua for what its rows mean. A side (src or lua) is { name, table,
-- files, arrows, outside }, an arrow { from, to, line, kind, name }.
local M = {}

local function words(text) return text:gmatch "%S+" end

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

-- Rooms --------------------------------------------------------------------------------------------------------------

-- The place in the table of the last room that a word stands for; nil: of none.
local function place_of(word, rows)
  local place
  for i, row in ipairs(rows) do
    if word == row[1] or word:match "^(.*)/[^/]+%.h$" == row[1]
      or (word:sub(-2) == "/*" and row[1]:sub(1, #word - 1) == word:sub(1, -2)) then
      place = i
    end
  end
  return place
end

-- The rows by the rooms' names, with a count of what each word lets pass. A row may name only what stands before it, so
-- that no circle among rooms can be written down.
local function rooms_of(side, complain)
  local rooms = {}
  for i, row in ipairs(side.table.rooms) do
    local may = {}
    for word in words(row[2]) do
      local place = place_of(word, side.table.rooms)
      may[word] = 0
      if not place or place >= i then
        complain("table: %s/%s may not be allowed %s, which is no room before it", side.name, row[1], word)
      end
    end
    rooms[row[1]] = { may = may, files = 0 }
  end
  return rooms
end

-- Whether a room's row allows an arrow; counts that for the words that do. A header's word is for including it, and
-- lets pass what is named of the room behind it.
local function allows(room, arrow)
  local to, allowed = arrow.to.room, false
  for word in pairs(room.may) do
    local header = word:match "^(.*)/[^/]+%.h$" == to
    local counts = word == to or (header and (arrow.kind ~= "include" or word == arrow.to.name))
      or (word:sub(-2) == "/*" and to:sub(1, #word - 1) == word:sub(1, -2))
    if counts then room.may[word] = room.may[word] + 1 end
    allowed = allowed or counts
  end
  return allowed
end

local verbs = { include = "includes", require = "requires" }

local function check_arrow(rooms, known, arrow, complain)
  local from, to = arrow.from, arrow.to
  local room, pair = rooms[from.room], from.name .. " → " .. (to.name or to.room)
  if not room or from.room == to.room then return end
  if allows(room, arrow) then return end
  if known[pair] then
    known[pair] = known[pair] + 1
  else
    complain("%s:%d → %s: %s %s; %s may not use %s", from.path, arrow.line, to.path, verbs[arrow.kind] or "uses",
      arrow.name, from.room, to.room)
  end
end

local function check_rooms(side, complain)
  local rooms, known = rooms_of(side, complain), {}
  for _, file in ipairs(side.files) do
    if not rooms[file.room] then
      complain("%s/%s: this room has no row in the table", side.name, file.room)
      rooms[file.room] = { may = {}, files = 0 }
    end
    rooms[file.room].files = rooms[file.room].files + 1
  end
  for _, row in ipairs(side.table.known) do known[row[1] .. " → " .. row[2]] = 0 end
  for _, arrow in ipairs(side.arrows) do check_arrow(rooms, known, arrow, complain) end
  for _, name in ipairs(sorted(rooms)) do
    local room = rooms[name]
    if room.files == 0 then complain("table: there is no file in %s/%s", side.name, name) end
    for _, word in ipairs(sorted(room.may)) do
      if room.files > 0 and room.may[word] == 0 then complain("table: %s/%s doesn't use %s", side.name, name, word) end
    end
  end
  for _, pair in ipairs(sorted(known)) do
    if known[pair] == 0 then complain("table: the known arrow %s is gone", pair) end
  end
end

-- What is not ours ---------------------------------------------------------------------------------------------------

local function check_outside(side, complain)
  local rows, used = side.table.outside, {}
  for name, rooms in pairs(rows) do
    for room in words(rooms) do used[name .. " for " .. side.name .. "/" .. room] = 0 end
  end
  for _, use in ipairs(side.outside) do
    local name = rows[use.name] and use.name or use.name:match "^(.-)/" or use.name
    local key = name .. " for " .. side.name .. "/" .. use.from.room
    if used[key] then
      used[key] = used[key] + 1
    elseif rows[name] or use.listed then
      complain("%s:%d: uses %s; %s may not", use.from.path, use.line, use.name, use.from.room)
    end
  end
  for _, key in ipairs(sorted(used)) do
    if used[key] == 0 then complain("table: nobody needs %s", key) end
  end
end

-- Circles -----------------------------------------------------------------------------------------------------------

local makes_circles = { include = true, require = true, ["function"] = true, variable = true }

-- By room: which node leads to which, and by what arrow. Nodes are called as `name_of` says; those of one name are one.
local function nodes_of(side, name_of)
  local by_room = {}
  for _, arrow in ipairs(side.arrows) do
    local from, to = name_of(arrow.from), arrow.to.node and name_of(arrow.to)
    if to and from ~= to and arrow.to.room == arrow.from.room and makes_circles[arrow.kind] then
      local nodes = by_room[arrow.from.room] or {}
      by_room[arrow.from.room] = nodes
      nodes[from], nodes[to] = nodes[from] or {}, nodes[to] or {}
      nodes[from][to] = nodes[from][to] or arrow
    end
  end
  return by_room
end

-- The shortest way from a node to another, or back to itself, as a list of nodes; nil: there is none.
local function way(nodes, start, goal)
  local queue, came, at = { start }, {}, 1
  while queue[at] do
    local node = queue[at]
    for _, to in ipairs(sorted(nodes[node] or {})) do
      if to == goal then
        local list = { goal }
        repeat
          table.insert(list, 1, node)
          node = came[node]
        until not node
        return list
      end
      if to ~= start and not came[to] then came[to], queue[#queue + 1] = node, to end
    end
    at = at + 1
  end
end

local function by_file(file) return file.node end

-- Those of a list of nodes that one is in a circle with.
local function circle_of(nodes, node, list)
  local circle = {}
  for _, other in ipairs(list) do
    if other ~= node and way(nodes, node, other) and way(nodes, other, node) then circle[#circle + 1] = other end
  end
  return circle
end

local function nodes_of_row(row)
  local list = {}
  for word in words(row[2]) do list[#list + 1] = row[1] .. "/" .. word end
  return list
end

-- The circles that the table lists must be there, each as one.
local function check_listed(side, complain)
  local by_room, row_of = nodes_of(side, by_file), {}
  for _, row in ipairs(side.table.circles) do
    local nodes, list, largest, circles = by_room[row[1]] or {}, nodes_of_row(row), 0, {}
    for _, node in ipairs(list) do
      row_of[node] = row[1] .. "/" .. row[2]
      circles[node] = circle_of(nodes, node, list)
      largest = math.max(largest, #circles[node])
    end
    for _, node in ipairs(list) do
      local circle = circles[node]
      if #circle == 0 then
        complain("table: %s/%s is in no circle any more", side.name, node)
      elseif #circle < largest then
        complain("table: %s/%s is in a circle of its own with %s", side.name, node, table.concat(circle, " "))
      end
    end
  end
  return row_of
end

-- No other circle may be: a row's files are taken for one.
local function check_circles(side, complain)
  local row_of = check_listed(side, complain)
  local by_room = nodes_of(side, function(file) return row_of[file.node] or file.node end)
  for _, room in ipairs(sorted(by_room)) do
    local nodes, told = by_room[room], {}
    for _, node in ipairs(sorted(nodes)) do
      local list = not told[node] and way(nodes, node, node) or {}
      local text = ("%s/%s: a circle of files:"):format(side.name, room)
      for i = 2, #list do
        local arrow = nodes[list[i - 1]][list[i]]
        told[list[i]] = true
        text = text .. ("\n    %s:%d → %s (%s)"):format(arrow.from.path, arrow.line, arrow.to.path, arrow.name)
      end
      if list[2] then complain("%s", text) end
    end
  end
end

function M.check(side, complain)
  check_rooms(side, complain)
  check_outside(side, complain)
  check_circles(side, complain)
end

local function show_circles(nodes)
  local seen = {}
  for _, node in ipairs(sorted(nodes)) do
    local circle = not seen[node] and circle_of(nodes, node, sorted(nodes)) or {}
    for _, other in ipairs(circle) do seen[other] = true end
    if circle[1] then print("", "in a circle:", node .. " " .. table.concat(circle, " ")) end
  end
end

-- What each room uses in fact, by which files, and which of its own stand in a circle.
function M.show(side)
  local uses, by_room = {}, nodes_of(side, by_file)
  for _, file in ipairs(side.files) do uses[file.room] = uses[file.room] or {} end
  for _, arrow in ipairs(side.arrows) do
    local to = arrow.to
    if to.room ~= arrow.from.room then
      local room = uses[arrow.from.room]
      room[to.room] = room[to.room] or {}
      room[to.room][to.name or to.room] = true
    end
  end
  for _, room in ipairs(sorted(uses)) do
    print(side.name .. "/" .. room)
    for _, to in ipairs(sorted(uses[room])) do print("", to, table.concat(sorted(uses[room][to]), " ")) end
    show_circles(by_room[room] or {})
  end
end

return M
