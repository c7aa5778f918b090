-- Answers every elicitation with the defaults that its schema names.
local lunette = require "lunette"

lunette.elicitation(function(request)
  local content = {}
  for name, schema in pairs(request.params.requestedSchema.properties) do content[name] = schema.default end
  return { action = "accept", content = content }
end)
