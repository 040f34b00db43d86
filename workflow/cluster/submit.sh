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

# Refuse what would be other settings for the shards than for the index, or no shards at all.
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
    shard=* | gather=*) fail "${word%%=*} is set here for each job: leave it out" ;;
    --) fail "a shard makes all results of its studies: leave out -- and what comes behind" ;;
  esac
done

# What is to be run again by force are jobs of studies, of which index and gather have none.
options=() forced=() into=options
for word in "$@"; do
  case $word in
    -R | --forcerun) into=forced ;;
    -R?* | --forcerun=*)
      forced+=("$word")
      continue
      ;;
    -*) into=options ;;
  esac
  if [ $into = forced ]; then forced+=("$word"); else options+=("$word"); fi
done

# The command with keys of its own. Of two --config only the last would count, so they join the first.
with_keys() {
  local word has_config="" keys=("$1" "$2")
  words=("$snakemake" --snakefile "$checkout/Snakefile")
  for word in "${@:3}"; do
    case $word in
      -C | --config) words+=(--config "${keys[@]}") has_config=1 ;;
      --config=*) words+=(--config "${keys[@]}" "${word#*=}") has_config=1 ;;
      -C?*) words+=(--config "${keys[@]}" "${word#-C}") has_config=1 ;;
      *) words+=("$word") ;;
    esac
  done
  [ -n "$has_config" ] || words+=(--config "${keys[@]}")
}

with_keys shard=null gather=null --cores all "${options[@]}"
"${words[@]}" -- index

mkdir -p logs/cluster
with_keys "shard=@SHARD@,$shards" gather=null "${options[@]}" "${forced[@]}"
# The options are words, and may be none. An --array of theirs counts.
# shellcheck disable=SC2086
array=$(sbatch --parsable --array="0-$((shards - 1))" ${SHARD_OPTIONS:-} "$here/shard.sbatch" "${words[@]}")
array=${array%%;*}
echo "Shards: job $array, logs/cluster/$array-shard-*.log"

with_keys shard=null "gather=$shards" "${options[@]}"
# shellcheck disable=SC2086
gather=$(sbatch --parsable ${GATHER_OPTIONS:-} --dependency="afterany:$array" \
  "$here/gather.sbatch" "${words[@]}") \
  || fail "the shards are submitted, their gather is not. When they have ended: ${words[*]@Q} --cores 2"
gather=${gather%%;*}
echo "Gather: job $gather, logs/cluster/$gather-gather.log: it says which shards have not finished"
