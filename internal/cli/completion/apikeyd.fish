# Completion of apikeyd for fish. Save it once:
#     apikeyd completion fish > ~/.config/fish/completions/apikeyd.fish
function __apikeyd_complete
    set -l words (commandline -opc)
    set -l found ($words[1] __complete -- $words[2..] (commandline -ct) 2>/dev/null)
    if test "$found" = :files
        __fish_complete_path (commandline -ct)
    else
        string join \n -- $found
    end
end
complete -c apikeyd -f -a '(__apikeyd_complete)'
