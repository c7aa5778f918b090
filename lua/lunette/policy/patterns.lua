-- What redact looks for: Lua patterns for secrets and personal data. No policy by itself.
--
-- A pattern that can begin anywhere in a long word takes quadratic time, and nothing can stop it. So each here
-- begins with fixed text, or at a frontier (%f) of the very characters that it goes on with, which the word
-- has only one of.
local key = "[%w_-]"

return {
  secrets = {
    "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-%-%-%-%-[^-]*", -- up to the line that ends it, if there is one
    "%f[%w]A[KS]IA" .. ("[%u%d]"):rep(16) .. "%f[%W]", -- AWS
    "%f[%w]AIza" .. key:rep(30) .. "+", -- Google
    "%f[%w]gh[pousr]_" .. ("%w"):rep(20) .. "+", -- GitHub
    "%f[%w]github_pat_" .. ("[%w_]"):rep(20) .. "+",
    "%f[%w]glpat%-" .. key:rep(16) .. "+", -- GitLab
    "%f[%w]npm_" .. ("%w"):rep(20) .. "+",
    "%f[%w]sk%-" .. key:rep(16) .. "+", -- OpenAI, Anthropic
    "%f[%w][sr]k_live_" .. ("%w"):rep(16) .. "+", -- Stripe
    "%f[%w]xox[abeoprs]%-" .. key:rep(10) .. "+", -- Slack
    "%f[%w_.-]eyJ[%w_-]+%.eyJ[%w_-]+%.[%w_-]*", -- JSON web tokens
    "%f[%w][Bb]earer " .. ("[%w._~+/-]"):rep(8) .. "+=*",
  },
  personal = {
    "%f[%w._%%+-][%w._%%+-]+@[%w-]+%.[%w.-]*%w", -- mail
    "%f[%w]%d%d%d%-%d%d%-%d%d%d%d%f[%W]", -- US social security
    "%f[%w]%u%u%d%d" .. (" ?[%u%d][%u%d][%u%d][%u%d]"):rep(3) .. (" ?[%u%d]?[%u%d]?[%u%d]?[%u%d]?"):rep(4), -- IBAN
    "%f[%w]" .. ("%d%d%d%d[ -]?"):rep(3) .. "%d%d%d?%d?%f[%W]", -- cards
    "%+%d" .. ("[%d .()-]"):rep(6) .. "[%d .()-]*%d", -- telephones with their country
  },
}
