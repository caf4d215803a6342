#compdef poolprof
# zsh completion of poolprof. Commands and options are what the program's own help says.
_poolprof() {
  local command=$words[2]
  if ((CURRENT == 2)); then
    local -a commands
    commands=(${(f)"$(poolprof --help | sed -n 's/^  \([a-z]*\)  *\(.*\)/\1:\2/p')"})
    _describe command commands
  elif [[ $command == run && -n ${words[(r)--]} ]]; then
    _arguments "*::command: _normal"
  elif [[ $words[CURRENT-1] == --option ]]; then
    compadd -S = ${(f)"$(poolprof options | sed -n 's/^POOLPROF_\([A-Z_]*\).*/\1/p')"}
  elif [[ $words[CURRENT-1] == --format ]]; then
    compadd ${(s:, :)"$(poolprof $command --format '?' 2>&1 | sed -n 's/.* is not one of //p')"}
  elif [[ $PREFIX == -* ]]; then
    compadd -- ${(f)"$(poolprof $command --help 2>&1 | grep -oE -- '(^|[[ (])--?[a-z][a-z-]*' | tr -d '[( ' | sort -u)"}
  else
    _files
  fi
}
_poolprof "$@"
