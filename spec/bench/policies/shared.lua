-- One child for all clients.
local lunette = require "lunette"

lunette.upstream("bench", {
  command = lunette.env "BENCH_UPSTREAM", args = { "--stdio" }, session = "shared" })
