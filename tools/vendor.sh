#!/usr/bin/env bash
# Get the scripts of dashboards/vendor/ from npm at the versions below, with their licences.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../dashboards/vendor"
for package in vega@6.4.0 vega-lite@6.4.3 vega-embed@7.3.0; do
    name=${package%@*}
    archive=$(npm pack --silent "$package")
    tar -xzf "$archive" --strip-components=2 "package/build/$name.min.js"
    tar -xzOf "$archive" package/LICENSE >"LICENSE-$name"
    rm "$archive"
done
