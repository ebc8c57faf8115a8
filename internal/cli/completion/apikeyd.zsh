#compdef apikeyd
# Completion of apikeyd for zsh. Put this into ~/.zshrc, after compinit:
#     source <(apikeyd completion zsh)
_apikeyd() {
    local line
    local -a candidates
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done < <("${(Q)words[1]/#\~/$HOME}" __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    _describe apikeyd candidates
}
compdef _apikeyd apikeyd
