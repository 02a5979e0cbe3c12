#!/bin/sh
# Writes deploy/sample.env with a random value for every name that has none: sh deploy/new-env.sh > .env
set -eu
while IFS= read -r line; do
  case "$line" in
    '#'*) ;;
    *=) line="$line$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" ;;
  esac
  printf '%s\n' "$line"
done < "$(dirname "$0")/sample.env"
