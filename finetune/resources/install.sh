#!/bin/sh
# install.sh PYTHON LOCK cpu|gpu: install a lock file as it stands into PYTHON's environment.
# --no-deps: the lock is complete, and some of its packages ask for CUDA builds that text never needs.
set -eu
python=$1 lock=$2 device=$3
uv=$(dirname "$python")/uv
[ -x "$uv" ] || uv=uv
set -- pip install --quiet --compile-bytecode --python "$python" --no-deps --requirements "$lock"
if [ "$device" = cpu ]; then
    # CPU builds of torch: from the folder that pip is told of, where there is one, else from PyTorch's own index.
    if [ -n "${PIP_FIND_LINKS:-}" ]; then
        export UV_FIND_LINKS="$PIP_FIND_LINKS"
    else
        set -- "$@" --torch-backend cpu
    fi
fi
exec "$uv" "$@"
