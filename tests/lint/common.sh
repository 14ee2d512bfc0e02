# What the lint scripts share. Each is started with the source tree's root as $1, prints each finding as file:line: text,
# and ends with finish.
set -eu
cd "$1"
library='core autograd optim models engine'
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

# Every source of the given folders, as words; build folders are none of ours.
sources() { find "$@" -name '*.[ch]' 2>/dev/null | sort; }

# The code of the given files as lines "file:number:code", with comments and the text of strings taken out.
code() {
    awk 'FNR == 1 { comment = 0 }
    {
        out = ""; rest = $0
        while (rest != "") {
            if (comment) {
                if (!(i = index(rest, "*/"))) break
                comment = 0; rest = substr(rest, i + 2)
            } else if (!match(rest, /\/\*|\/\/|["\047]/)) { out = out rest; break }
            else {
                two = substr(rest, RSTART, 2); c = substr(rest, RSTART, 1)
                out = out substr(rest, 1, RSTART - 1); rest = substr(rest, RSTART + 1)
                if (two == "//") break
                if (two == "/*") { comment = 1; rest = substr(rest, 2); out = out " "; continue }
                while (rest != "" && substr(rest, 1, 1) != c) rest = substr(rest, substr(rest, 1, 1) == "\\" ? 3 : 2)
                rest = substr(rest, 2); out = out c c
            }
        }
        print FILENAME ":" FNR ":" out
    }' "$@"
}

# search PATTERN WHAT: a finding for each line of code() on standard input whose code matches the extended pattern.
search() {
    grep -E "^[^:]*:[0-9]*:.*($1)" | sed "s|^\([^:]*:[0-9]*\):.*|\1: $2|" >>"$findings" || true
}

found() { printf '%s\n' "$*" >>"$findings"; }

finish() {
    cat "$findings"
    [ ! -s "$findings" ]
}
