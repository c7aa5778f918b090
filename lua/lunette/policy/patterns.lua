-- What redact looks for: Lua patterns for secrets and personal data. No policy by itself.
--
-- A pattern that can begin anywhere in a long word takes quadratic time, and nothing can stop it. So each here
-- begins with fixed text, or at a frontier (%f) of the very characters that it goes on with, which the word
-- has only one of.
--
-- Behind each pattern stand its hints: texts of which one is in whatever it matches, so that texts without them need
-- not be searched. WORD in front: only where no letter or digit is before it; CLASSES: d stands for any digit, u for
-- any capital letter. No hints: nothing is known.
local key = "[%w_-]"
local WORD, CLASSES = "\1", "\2"

local function of(pattern, ...)
  local hints = { ... }
  return { pattern, hints = hints[1] and table.concat(hints, "\n") or nil }
end

local M = {
  secrets = {
    -- up to the line that ends it, if there is one
    of("%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-%-%-%-%-[^-]*", "-----BEGIN "),
    of("%f[%w]A[KS]IA" .. ("[%u%d]"):rep(16) .. "%f[%W]", WORD .. "AKIA", WORD .. "ASIA"), -- AWS
    of("%f[%w]AIza" .. key:rep(30) .. "+", WORD .. "AIza"), -- Google
    of(
      "%f[%w]gh[pousr]_" .. ("%w"):rep(20) .. "+", -- GitHub
      WORD .. "ghp_",
      WORD .. "gho_",
      WORD .. "ghu_",
      WORD .. "ghs_",
      WORD .. "ghr_"
    ),
    of("%f[%w]github_pat_" .. ("[%w_]"):rep(20) .. "+", WORD .. "github_pat_"),
    of("%f[%w]glpat%-" .. key:rep(16) .. "+", WORD .. "glpat-"), -- GitLab
    of("%f[%w]npm_" .. ("%w"):rep(20) .. "+", WORD .. "npm_"),
    of("%f[%w]sk%-" .. key:rep(16) .. "+", WORD .. "sk-"), -- OpenAI, Anthropic
    of("%f[%w][sr]k_live_" .. ("%w"):rep(16) .. "+", WORD .. "sk_live_", WORD .. "rk_live_"), -- Stripe
    of("%f[%w]xox[abeoprs]%-" .. key:rep(10) .. "+", WORD .. "xox"), -- Slack
    of("%f[%w_.-]eyJ[%w_-]+%.eyJ[%w_-]+%.[%w_-]*", WORD .. "eyJ"), -- JSON web tokens
    of("%f[%w][Bb]earer " .. ("[%w._~+/-]"):rep(8) .. "+=*", WORD .. "Bearer ", WORD .. "bearer "),
  },
  personal = {
    of("%f[%w._%%+-][%w._%%+-]+@[%w-]+%.[%w.-]*%w", "@"), -- mail
    of("%f[%w]%d%d%d%-%d%d%-%d%d%d%d%f[%W]", CLASSES .. "dddd"), -- US social security
    of(
      "%f[%w]%u%u%d%d" .. (" ?[%u%d][%u%d][%u%d][%u%d]"):rep(3) .. (" ?[%u%d]?[%u%d]?[%u%d]?[%u%d]?"):rep(4),
      CLASSES .. "uudd" -- IBAN
    ),
    of("%f[%w]" .. ("%d%d%d%d[ -]?"):rep(3) .. "%d%d%d?%d?%f[%W]", CLASSES .. "dddd"), -- cards
    of("%+%d" .. ("[%d .()-]"):rep(6) .. "[%d .()-]*%d", "+"), -- telephones with their country
  },
}

--- A pattern of a policy's own; the fixed text that it begins with, behind a frontier perhaps, is its hint.
function M.own(pattern)
  local set, after_set = pattern:match "^%%f%[([^%]]*)%](.*)$"
  if set and set:find "^%^?$" or set and set:find "%%$" then return { pattern } end -- a set with a bracket in it
  local rest, literal = after_set or pattern, {}
  while true do
    local char, after = rest:match "^([%w_ ])(.*)$"
    if not char then
      char, after = rest:match "^%%([-_/.+])(.*)$"
    end
    if not char or after:find "^[*?-]" then break end
    literal[#literal + 1], rest = char, after
    if after:find "^%+" then break end
  end
  -- What JSON may write in another way is no hint.
  local text = table.concat(literal):match "^[^/]*"
  return { pattern, hints = #text > 1 and text or nil }
end

return M
