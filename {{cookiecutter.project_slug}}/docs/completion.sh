# shellcheck shell=bash
# TAB completes commands, options and their values after `python scripts/NAME.py`, in bash and zsh: source docs/completion.sh
_lineage() {
  local python=${COMP_WORDS[0]} script=${COMP_WORDS[1]} words=${COMP_WORDS[*]:1} number=$((COMP_CWORD - 1))
  COMPREPLY=()
  [[ $script == *scripts/*.py && $number -gt 0 ]] || return
  # shellcheck disable=SC2207  # no command or option has a space
  COMPREPLY=($(COMP_WORDS=$words COMP_CWORD=$number LINEAGE_COMPLETE=complete_bash "$python" "$script" 2>/dev/null))
}
if [[ -n ${ZSH_VERSION-} ]]; then # zsh reads what is written for bash, once it is asked to
  autoload -Uz compinit bashcompinit
  command -v compdef >/dev/null || compinit
  bashcompinit
fi
complete -o default -F _lineage python python3
