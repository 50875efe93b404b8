# What deb.sh and release.sh have in common; sourced. They set root, work and MAINTAINER.

# bundle PROGRAM TARGET: the program's bundles, without maps and npm's packages, ready to run with /usr/bin/node. $work/PROGRAM keeps what they are made of.
bundle() {
  DIST=$work/$1 node "$root/build.mjs" bundles "$1"
  install -d "$2"
  install -m 644 "$work/$1"/*.mjs "$2/"
  sed -i '1{/^#!/d}' "$2"/*.mjs
  sed -i '1i #!/usr/bin/node' "$2/$1.mjs"
}

# describe PROGRAM TARGET: man pages, completion, licences and the like, made of the program itself. LIBRARIES and NODE_MAJORS are for its dependencies.
describe() {
  [ -e "$work/tools/packaging.mjs" ] || DIST=$work/tools node "$root/build.mjs" bundles packaging
  node "$work/$1/$1.mjs" help --json >"$work/description.json"
  ROOT=$root OUT=$2 DESCRIPTION=$work/description.json METAFILE=$work/$1/$1.meta.json \
    CONSOLE_METAFILE=$work/console/console.meta.json node "$work/tools/packaging.mjs"
}
