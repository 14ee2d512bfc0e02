#!/bin/sh
# Each folder includes only what stands left of it: core <- autograd <- models; core <- optim; all <- engine <- cli, examples.
. "$(dirname "$0")/common.sh"

allowed() { # the layers that a layer may include
    case $1 in
    core) echo core ;;
    autograd) echo core autograd ;;
    optim) echo core optim ;;
    models) echo core autograd models ;;
    *) echo core autograd optim models engine ;;
    esac
}

layer_of() { sed -n '1s|^/\* Layer: \([a-z]*\)\..*|\1|p' "$1"; }

check_file() { # FILE LAYER
    sed -n 's|^ *# *include *\([<"]\)\([^>"]*\).*|\1\2|p' "$1" | while read -r include; do
        name=${include#?}
        case $include in
        '<tread/'*)
            if [ ! -f "include/$name" ]; then
                found "$1: <$name> does not exist"
                continue
            fi
            to=$(layer_of "include/$name")
            ;;
        '"tread_config.h') to=core ;;
        '"tread/'*) found "$1: public headers are included as <$name>" && continue ;;
        '"'*)
            to=${name%%/*}
            [ "$2" != examples ] || found "$1: an example includes only installed headers, not $name"
            [ "$2" != cli ] || [ "$to" = cli ] || found "$1: the command includes only public headers and its own, not $name"
            [ -f "$name" ] || found "$1: \"$name\" is not written from the root"
            [ "$to" != "$2" ] || continue
            ;;
        *) continue ;;
        esac
        case " $(allowed "$2") " in
        *" $to "*) ;;
        *) found "$1: $2 may not include $name, which is of $to" ;;
        esac
    done
}

for folder in $library cli examples; do
    for file in $(sources "$folder"); do
        check_file "$file" "$folder"
        case $file in
        *.h) case $(head -n 1 "$file") in "/* Layer: $folder."*) ;; *) found "$file: the first line is not /* Layer: $folder. ..." ;; esac ;;
        esac
    done
done
for file in include/tread/*.h; do
    layer=$(layer_of "$file")
    case " $library " in
    *" $layer "*) check_file "$file" "$layer" ;;
    *) found "$file: the first line does not name its layer" ;;
    esac
    ! grep -q '^ *# *include *"' "$file" || found "$file: a public header includes a private one"
done
finish
