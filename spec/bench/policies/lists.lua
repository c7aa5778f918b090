-- A rule on lists only: a call of another tool has nothing to do with it.
local lunette = require "lunette"

lunette.tools.hide "erase"
