# What the lint scripts share. Each is started with the source tree's root as $1, prints each finding as file:line: text,
# and ends with finish.
set -eu
cd "$1"
library='core autograd optim models engine'
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

# Every source of the given folders, as words; build folders are none of ours.
sources() { find "$@" -name '*.[ch]' 2>/dev/null | sort; }

# code FILE: the file with comments and the text of strings blanked, line by line as it was.
code() {
    awk '{
        out = ""; n = length($0)
        for (i = 1; i <= n; i++) {
            c = substr($0, i, 1); two = substr($0, i, 2)
            if (comment) { if (two == "*/") { comment = 0; i++ } }
            else if (quote != "") { if (c == "\\") i++; else if (c == quote) { quote = ""; out = out c } }
            else if (two == "/*") { comment = 1; i++; out = out " " }
            else if (two == "//") break
            else { if (c == "\"" || c == "'"'"'") quote = c; out = out c }
        }
        quote = ""
        print out
    }' "$1"
}

# search PATTERN WHAT FILE...: a finding for each line of code (not of comments) that the extended pattern matches.
search() {
    pattern=$1 what=$2
    shift 2
    for file in "$@"; do
        code "$file" | grep -nE "$pattern" | sed "s|^\([0-9]*\):.*|$file:\1: $what|" >>"$findings" || true
    done
}

found() { printf '%s\n' "$*" >>"$findings"; }

finish() {
    cat "$findings"
    [ ! -s "$findings" ]
}
