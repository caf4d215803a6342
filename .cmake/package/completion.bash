# bash completion of poolprof. Commands and options are what the program's own help says.
_poolprof() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} i
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$(poolprof --help | sed -n 's/^  \([a-z-]*\).*/\1/p')" -- "$word")
    return
  fi
  if [ "$command" = run ]; then
    for ((i = 2; i < COMP_CWORD; i++)); do
      if [ "${COMP_WORDS[i]}" = -- ]; then
        if [ $((i + 1)) -eq "$COMP_CWORD" ]; then mapfile -t COMPREPLY < <(compgen -c -- "$word"); else
          mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        return
      fi
    done
  fi
  case $before in
  --option)
    compopt -o nospace
    mapfile -t COMPREPLY < <(compgen -S = -W "$(poolprof options | sed -n 's/^POOLPROF_\([A-Z_]*\).*/\1/p')" -- "$word")
    ;;
  --format)
    mapfile -t COMPREPLY < <(compgen -W "$(poolprof "$command" --format '?' 2>&1 |
      sed -n 's/.* is not one of //p' | tr -d ,)" -- "$word")
    ;;
  *)
    if [ "${word#-}" != "$word" ]; then
      mapfile -t COMPREPLY < <(compgen -W "$(poolprof "$command" --help 2>&1 |
        grep -oE -- '(^|[[ (])--?[a-z][a-z-]*' | tr -d '[( ' | sort -u)" -- "$word")
    else
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      compopt -o filenames
    fi
    ;;
  esac
}
complete -F _poolprof poolprof
