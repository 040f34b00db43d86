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

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(dirname "$(dirname "$here")")
snakemake=$checkout/.venv/bin/snakemake
if ! [ -x "$snakemake" ]; then
  snakemake=$(command -v snakemake) || { echo "error: no snakemake; make run sets it up" >&2; exit 1; }
fi

# The command with one more key. Of two --config only the last would count, so it joins the first.
with_key() {
  local word has_config=""
  words=("$snakemake" --snakefile "$checkout/Snakefile")
  for word in "${@:2}"; do
    case $word in
      -C | --config) words+=(--config "$1") has_config=1 ;;
      --config=*) words+=(--config "$1" "${word#*=}") has_config=1 ;;
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
