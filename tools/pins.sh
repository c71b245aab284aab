#!/bin/sh
# Renews the pins: one set with hashes for every supported Python and system, and no address of any index.
set -eu
uv=.venv/bin/uv

compile() { # compile OUTPUT ARGUMENTS...
    output=$1
    shift
    "$uv" pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-annotate --no-header --output-file "$output" "$@"
    # A marker that holds on every system named in pyproject.toml says nothing: without it a line is readable.
    everywhere="((platform_machine == 'arm64' and sys_platform == 'darwin') or sys_platform == 'linux')"
    sed -e "s/python_full_version < '3\.14' and //" -e "s/platform_python_implementation == 'CPython' and //g" \
        -e "s/(sys_platform == 'linux')/sys_platform == 'linux'/" \
        -e "s/ ; $everywhere / /" -e "s/ and $everywhere / /" "$output" >"$output.new"
    mv "$output.new" "$output"
}

compile requirements-bootstrap.txt --group bootstrap
compile requirements.txt pyproject.toml --constraint requirements-bootstrap.txt
compile requirements-dev.txt pyproject.toml --all-extras --constraint requirements.txt
