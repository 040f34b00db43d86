#!/usr/bin/env bash
# Run the workflow in shards on SLURM: the index here, an array of shards, and a gather behind it.
#
#     workflow/cluster/submit.sh SHARDS [options of snakemake]
#
# What a job may use is in shard.sbatch and gather.sbatch. SBATCH_PARTITION, SBATCH_ACCOUNT and the like
# are heeded, and SHARD_OPTIONS and GATHER_OPTIONS are given to sbatch.
# To run again what failed, submit again: what is done takes seconds.
set -euo pipefail

if ! [[ ${1:-} =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,/^set/{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
shards=$1
shift

fail() {
  echo "error: $1" >&2
  exit 1
}

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
checkout=$(dirname "$(dirname "$here")")
snakemake=$checkout/.venv/bin/snakemake
if ! [ -x "$snakemake" ]; then
  snakemake=$(command -v snakemake) || fail "no snakemake; make run sets it up"
fi
command -v sbatch >/dev/null || fail "no sbatch: this host cannot submit to SLURM"

# What would be other settings for the shards than for the index, or no shards at all.
profile=""
for word in "$@"; do
  if [ -n "$profile" ] && grep -qs '^config:' "$word"/config*.yaml; then
    fail "$word has keys under config:, which a shard's own replace. Give them by --config or --configfile."
  fi
  profile=""
  case $word in
    --profile | --workflow-profile) profile=next ;;
    --profile=* | --workflow-profile=*) fail "write ${word%%=*} and its folder as two words" ;;
    -d | --directory | --directory=*) fail "a shard works in a folder of its own: leave out ${word%%=*}" ;;
    -n | --dry-run | --dryrun) fail "to see what would be done: snakemake $word, without shards" ;;
  esac
done

# The command with one more key. Of two --config only the last would count, so it joins the first.
with_key() {
  local word has_config=""
  words=("$snakemake" --snakefile "$checkout/Snakefile")
  for word in "${@:2}"; do
    case $word in
      -C | --config) words+=(--config "$1") has_config=1 ;;
      --config=*) words+=(--config "$1" "${word#*=}") has_config=1 ;;
      -C?*) words+=(--config "$1" "${word#-C}") has_config=1 ;;
      *) words+=("$word") ;;
    esac
  done
  [ -n "$has_config" ] || words+=(--config "$1")
}

"$snakemake" --snakefile "$checkout/Snakefile" --cores all "$@" -- index

mkdir -p logs/cluster
with_key "shard=@SHARD@,$shards" "$@"
# The options are words, and may be none.
# shellcheck disable=SC2086
array=$(sbatch --parsable ${SHARD_OPTIONS:-} --array="0-$((shards - 1))" "$here/shard.sbatch" "${words[@]}")
array=${array%%;*}
with_key "gather=$shards" "$@"
# shellcheck disable=SC2086
gather=$(sbatch --parsable ${GATHER_OPTIONS:-} --dependency="afterany:$array" \
  "$here/gather.sbatch" "${words[@]}")

echo "Shards: job $array, logs/cluster/shard-*.log"
echo "Gather: job ${gather%%;*}, logs/cluster/gather.log: it says which shards have not finished"
