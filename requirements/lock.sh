#!/bin/sh
# lock.sh UV: resolve pyproject.toml into requirements/*.txt: `package==version` lines and nothing else,
# so that no index address and no local build tag is recorded.
set -eu
uv=$1
cd "$(dirname "$0")/.."
[ -n "${PIP_FIND_LINKS:-}" ] && export UV_FIND_LINKS="$PIP_FIND_LINKS"
compile() {
    out=$1
    shift
    cp "$out" "$out.new" # what is pinned stays where it can; remove a line, or the file, to renew it
    "$uv" pip compile "$@" --quiet --python-version 3.11 --overrides requirements/overrides.txt \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file "$out.new"
    sed -i 's/+cpu$//' "$out.new"
    mv "$out.new" "$out"
    echo "$out: $(wc -l <"$out") packages"
}
compile requirements/cpu.txt pyproject.toml --extra train --extra serve --extra cpu
compile requirements/gpu.txt pyproject.toml --extra train --extra serve --extra gpu --python-platform x86_64-manylinux_2_28
compile finetune/resources/quantize.txt requirements/quantize.in
# Only what cpu.txt lacks: a GPU machine adds the same tools to its own set.
compile requirements/dev.txt pyproject.toml --group dev --constraints requirements/cpu.txt
grep -vxFf requirements/cpu.txt requirements/dev.txt >requirements/dev.txt.new
mv requirements/dev.txt.new requirements/dev.txt
