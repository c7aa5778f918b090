-- lunette completion: what makes a shell complete Lunette's commands, options, files and, after a target, names of
-- tools, resources and prompts. The scripts are thin: they hand the words over to `lunette completion words`, which
-- answers with a candidate a line, its description (if any) after a tab; a line that begins with ":" asks the shell
-- itself for files (":files EXT…") or commands (":commands").
local complete = require "lunette.cli.complete"
local output = require "lunette.cli.output"
local session = require "lunette.cli.session"

local M = {}

local scripts = {}

-- The words are taken from the line itself: bash would divide them at "=" and ":" too.
scripts.bash = [==[
# Completes lunette (COMMANDS) in bash.
_lunette() {
  local line=${COMP_LINE:0:COMP_POINT} words=() reply=() answer cur broken ext
  read -a words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  cur=${words[${#words[@]} - 1]}
  # What bash takes for words of their own stands there already.
  broken=
  [[ $cur == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]] && broken=${cur%"${cur##*[=:]}"}
  COMPREPLY=()
  while IFS= read -r answer; do
    case $answer in
      :commands) mapfile -t reply < <(compgen -c -- "$cur") ;;
      :files)
        compopt -o filenames 2>/dev/null
        mapfile -t reply < <(compgen -f -- "$cur")
        ;;
      ":files "*)
        compopt -o filenames 2>/dev/null
        mapfile -t reply < <(
          compgen -d -- "$cur"
          for ext in ${answer#:files }; do compgen -f -X "!*.$ext" -- "$cur"; done
        )
        ;;
      *) reply=("${answer%%$'\t'*}") ;;
    esac
    COMPREPLY+=("${reply[@]#"$broken"}")
  done < <("${words[0]}" completion words -- "${words[@]:1}" 2>/dev/null)
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _lunette lunette
]==]

scripts.zsh = [==[
#compdef lunette
# Completes lunette (COMMANDS) in zsh.
_lunette() {
  local answer text
  local -a globs plain open
  while IFS= read -r answer; do
    case $answer in
      :commands) _command_names -e ;;
      :files) _files ;;
      ":files "*)
        globs=(${(s: :)answer#:files })
        _files -g "*.(${(j:|:)globs})(-.)"
        ;;
      *)
        text=${${answer%%$'\t'*}//:/\\:}
        [[ $answer == *$'\t'* ]] && text+=":${answer#*$'\t'}"
        if [[ ${answer%%$'\t'*} == *= ]]; then open+=("$text"); else plain+=("$text"); fi
        ;;
    esac
  done < <($words[1] completion words -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
  (( $#plain )) && _describe -V 'lunette' plain
  (( $#open )) && _describe -V 'argument' open -S ''
  return 0
}
if [[ $funcstack[1] == _lunette ]]; then _lunette "$@"; else compdef _lunette lunette; fi
]==]

scripts.fish = [==[
# Completes lunette (COMMANDS) in fish.
function __lunette_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for answer in ($words[1] completion words -- $words[2..-1] $current 2>/dev/null)
        switch $answer
            case ':commands'
                complete -C "$current"
            case ':files*'
                set -l endings (string split ' ' -- $answer)[2..-1]
                for path in (__fish_complete_path $current)
                    set -l file (string split \t -- $path)[1]
                    if test (count $endings) -eq 0; or string match -q '*/' -- $file
                        echo $path
                    else if contains -- (string replace -r '.*\.' '' -- $file) $endings
                        echo $path
                    end
                end
            case '*'
                echo $answer
        end
    end
end
complete -c lunette -f -a '(__lunette_complete)'
]==]

function M.describe(parser)
  parser:usage "Usage: lunette completion bash|zsh|fish"
  parser:description "Prints what makes a shell complete lunette's command line on Tab."
  parser:argument("shell"):args("?"):hidden(true)
  parser:epilog [[
To have it from now on:
  bash  echo 'source <(lunette completion bash)' >>~/.bashrc
  zsh   echo 'source <(lunette completion zsh)' >>~/.zshrc     (after compinit)
  fish  lunette completion fish >~/.config/fish/completions/lunette.fish

After a target the names of its tools, resources and prompts are completed too: the
target is asked for them, for two seconds at most, which starts its servers.]]
end

local function write(list)
  for _, candidate in ipairs(list) do
    if candidate.ask then
      output.out(":", candidate.ask, "\n")
    else
      output.out(candidate.text, candidate.note ~= "" and "\t" or "", candidate.note, "\n")
    end
  end
end

local function names(commands)
  local list = {}
  for i, command in ipairs(commands) do
    list[i] = command.name
  end
  return table.concat(list, ", ")
end

function M.run(options, _, words, cli)
  if options.shell == "words" and words then
    write(complete.candidates(words, cli.commands, cli.module))
    return 0
  end
  if words then session.usage "takes the name of a shell and no more" end
  local script = scripts[options.shell or ""]
  if not script then session.usage "which shell? bash, zsh or fish" end
  output.out((script:gsub("COMMANDS", names(cli.commands), 1)))
  return 0
end

return M
